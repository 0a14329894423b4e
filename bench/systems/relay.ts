import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort, Launched, untilAnswering } from './process.ts';
import type { Surroundings, System } from './system.ts';

const require = createRequire(import.meta.url);
const entry = fileURLToPath(new URL('relay-server.ts', import.meta.url));

const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version;

export async function startRelay({ upstream, signal }: Surroundings, nodeFlags: readonly string[]): Promise<System> {
  const port = await freePort();
  const command = [process.execPath, ...nodeFlags, entry, String(port), String(upstream.port)] as const;
  const launched = await Launched.start('bare relay', command, { ipc: true });
  const stop = (): Promise<void> => launched.stop(5000);
  try {
    await untilAnswering(`http://127.0.0.1:${port}/health`, launched, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: 'relay', port, version: `on fastify ${versionOf('fastify')} and undici ${versionOf('undici')}`, launched, stop };
}
