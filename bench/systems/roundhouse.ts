import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { model } from '../load/bodies.ts';
import { freePort, Launched, untilAnswering } from './process.ts';
import type { Surroundings, System } from './system.ts';
import { upstreamEntry, upstreamPid } from './upstream.ts';

const packageFile = fileURLToPath(new URL('../../package.json', import.meta.url));

export interface Ports {
  readonly listen: number;
  readonly admin: number;
  readonly upstream: number;
}

/** Requests the gateway may send to the upstream at once: above all that the benchmark opens. */
const concurrency = 4096;

/** A config with one replica of the `fake` engine, whose place the benchmark's upstream takes. */
export function gatewayConfig(ports: Ports, stateDir: string, workers: number): string {
  const config = {
    llm_configs: [
      {
        model_loading_config: { model_id: model },
        llm_engine: 'fake',
        deployment_config: { num_replicas: 1, max_ongoing_requests: concurrency },
      },
    ],
    gateway: {
      listen: { host: '127.0.0.1', port: ports.listen },
      admin: { host: '127.0.0.1', port: ports.admin },
      workers,
      state_dir: stateDir,
      engines: { fake: { command: [process.execPath, upstreamEntry] } },
      engine_ports: { first: ports.upstream, count: 1 },
      log: { level: 'error' },
    },
  };
  // JSON is YAML.
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** Starts the gateway, whose main module is `entry`, and by it the upstream. */
export async function startRoundhouse(
  { upstream, dir, signal, workers }: Surroundings,
  entry: string,
  nodeFlags: readonly string[],
): Promise<System> {
  await mkdir(dir, { recursive: true });
  const ports = { listen: await freePort(), admin: await freePort(), upstream: upstream.port };
  const file = join(dir, 'gateway.yaml');
  await writeFile(file, gatewayConfig(ports, join(dir, 'state'), workers));
  const launched = await Launched.start('roundhouse', [process.execPath, ...nodeFlags, entry, 'start', '-c', file], { ipc: false });
  const stop = async (): Promise<void> => {
    // Asked before the stop: a gateway that has to be killed leaves its engine to us.
    const engine = await upstreamPid(upstream.port, AbortSignal.timeout(1000)).catch(() => undefined);
    await launched.stop(15_000);
    if (engine !== undefined) killIfOurs(engine, await readFile(`/proc/${engine}/cmdline`, 'latin1').catch(() => ''));
  };
  try {
    await untilAnswering(`http://127.0.0.1:${ports.listen}/ready`, launched, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
  return { name: 'roundhouse', port: ports.listen, version, launched, stop };
}

/** The id may be another process's by now. */
function killIfOurs(pid: number, commandLine: string): void {
  if (commandLine.includes(upstreamEntry)) process.kill(pid, 'SIGKILL');
}
