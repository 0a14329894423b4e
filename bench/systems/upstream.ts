import { fileURLToPath } from 'node:url';
import { freePort, Launched, untilAnswering } from './process.ts';
import type { UpstreamAt } from './system.ts';

export const upstreamEntry = fileURLToPath(new URL('../upstream.ts', import.meta.url));

/** The upstream as a process of the benchmark itself, for runs without the gateway. */
export async function startUpstream(signal: AbortSignal): Promise<UpstreamAt & { stop(): Promise<void> }> {
  const port = await freePort();
  const launched = await Launched.start('upstream', [process.execPath, upstreamEntry, '--port', String(port)], { ipc: true });
  const stop = (): Promise<void> => launched.stop(5000);
  try {
    await untilAnswering(`http://127.0.0.1:${port}/health`, launched, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

/** Process id of the upstream that listens on `port`, by its own word. @throws Error when something else answers there. */
export async function upstreamPid(port: number, signal: AbortSignal): Promise<number> {
  const health: unknown = await (await fetch(`http://127.0.0.1:${port}/health`, { signal })).json();
  if (typeof health === 'object' && health !== null && 'pid' in health && typeof health.pid === 'number') return health.pid;
  throw new Error(`what listens on 127.0.0.1:${port} is not the benchmark's upstream`);
}
