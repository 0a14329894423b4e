import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { systemClock } from '../../src/core/clock.ts';
import { engines } from '../../src/plugins/registry.ts';
import { staticProvider } from '../../src/supervisor/providers/static.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';

const model = 'demo';
const slots = 1024;

const probePeriodMs = 10_000;

/**
 * CPU of the control plane's thread while so many replicas serve and nothing is asked of them, as a share of one core. What answers the
 * probes runs in another thread.
 * @param periods of the health probe that it is measured for.
 * @param dir for the config file.
 */
export async function restCost(replicas: number, periods: number, dir: string, signal: AbortSignal): Promise<number> {
  const server = new Worker(new URL('./health-server.ts', import.meta.url), { workerData: { model } });
  try {
    const [port] = (await once(server, 'message', { signal })) as [number];
    // An address of its own for each: every one of 127.0.0.0/8 is this machine.
    const urls = Array.from({ length: replicas }, (_, at) => ({ url: `http://127.0.${1 + (at >> 8)}.${at & 255}:${port}` }));
    const file = join(dir, 'supervised.json');
    const entry = { model_loading_config: { model_id: model }, llm_engine: 'fake', gateway: { upstreams: urls } };
    await writeFile(file, JSON.stringify({ llm_configs: [entry] }));
    const { config } = loadConfig([file], { env: {}, engines, cores: 2, homeDir: homedir() });
    return await watched(config, replicas, periods * probePeriodMs, signal);
  } finally {
    await server.terminate();
  }
}

async function watched(
  config: Parameters<Supervisor['apply']>[0],
  replicas: number,
  windowMs: number,
  signal: AbortSignal,
): Promise<number> {
  let version = 0;
  const supervisor = new Supervisor({
    clock: systemClock,
    provider: staticProvider,
    engines,
    board: LoadBoard.create(1, slots),
    publish: (table) => (version = table.version),
    appliedVersion: () => version,
    log: pino({ level: 'silent' }),
    random: Math.random,
    wallClockSeconds: () => Math.floor(Date.now() / 1000),
  });
  try {
    supervisor.apply(config);
    while (supervisor.status()[0]?.replicas.filter(({ state }) => state === 'ready').length !== replicas)
      await sleep(100, undefined, { signal });
    const before = process.threadCpuUsage();
    await sleep(windowMs, undefined, { signal });
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000 / windowMs;
  } finally {
    await supervisor.stop(0, AbortSignal.abort());
  }
}
