import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { model } from '../load/bodies.ts';
import { freePort, Launched, untilAnswering } from './process.ts';
import type { PeerName, Surroundings, System } from './system.ts';

interface Start {
  readonly port: number;
  /** One more port of its own. */
  readonly second: number;
  readonly upstreamPort: number;
  /** Exists, and is empty. */
  readonly dir: string;
}

/** Another project's gateway: how it is started in front of the upstream, with as little beside relaying as it can. */
interface Peer {
  /** How one gets it, for whoever has not. */
  readonly install: string;
  /** Writes what it reads, and says with what arguments it serves. */
  readonly start: (start: Start) => Promise<readonly string[]>;
  readonly env?: NodeJS.ProcessEnv;
  readonly health: string;
  /** Prints the version, as one of the words. */
  readonly version: (program: string) => readonly [string, ...string[]];
}

/** Packages of Python's tell their version to the Python that they are installed for, which stands beside their programs. */
const pythonVersion =
  (name: string) =>
  (program: string): readonly [string, ...string[]] => [
    join(program, '../python'),
    '-c',
    `import importlib.metadata; print(importlib.metadata.version("${name}"))`,
  ];

export const peers: Readonly<Record<PeerName, Peer>> = {
  smg: {
    install: 'pip install sglang-router',
    start: ({ port, second, upstreamPort }) =>
      Promise.resolve([
        'launch',
        '--host=127.0.0.1',
        `--port=${port}`,
        `--prometheus-port=${second}`,
        '--log-level=error',
        '--policy=round_robin',
        '--worker-urls',
        `http://127.0.0.1:${upstreamPort}`,
      ]),
    health: '/health',
    version: pythonVersion('sglang-router'),
  },
  litellm: {
    install: "pip install 'litellm[proxy]'",
    start: async ({ port, upstreamPort, dir }) => {
      const file = join(dir, 'litellm.yaml');
      const upstream = { model: `openai/${model}`, api_base: `http://127.0.0.1:${upstreamPort}/v1`, api_key: 'none' };
      const config = {
        model_list: [{ model_name: model, litellm_params: upstream }],
        litellm_settings: { telemetry: false },
        // It does not start without a key otherwise; the relay and the gateway have none here either.
        general_settings: { dangerously_permit_weak_or_unset_master_key: true },
      };
      // JSON is YAML.
      await writeFile(file, JSON.stringify(config));
      return ['--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'];
    },
    // It ends a stream whose chunks are all alike after a hundred of them.
    env: { REPEATED_STREAMING_CHUNK_LIMIT: '1000000000' },
    health: '/health/liveliness',
    version: pythonVersion('litellm'),
  },
};

/** @throws Error when it does not answer within 30 s */
export async function startPeer(name: PeerName, program: string, { upstream, dir, signal }: Surroundings): Promise<System> {
  const { start, env = {}, health, version } = peers[name];
  await mkdir(dir, { recursive: true });
  const port = await freePort();
  const args = await start({ port, second: await freePort(), upstreamPort: upstream.port, dir });
  const [command, ...asked] = version(program);
  const { stdout } = await promisify(execFile)(command, asked);
  const launched = await Launched.start(name, [program, ...args], { ipc: false, env });
  const stop = (): Promise<void> => launched.stop(5000);
  try {
    await untilAnswering(`http://127.0.0.1:${port}${health}`, launched, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, port, version: stdout.trim(), launched, stop };
}
