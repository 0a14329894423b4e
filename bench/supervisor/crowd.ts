import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { ReplicaId } from '../../src/core/ids.ts';
import { emptyTable } from '../../src/core/table.ts';
import type { RoutingTable } from '../../src/core/table.ts';
import type { EnginePlugin } from '../../src/plugins/engine-plugin.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { HttpGet } from '../../src/supervisor/http-get.ts';
import { LocalProvider } from '../../src/supervisor/providers/local.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';

const model = 'demo';
const slots = 2048;
const idle = { file: 'sleep', args: ['1d'] } as const;

/** How soon the ends of many processes that die at once are known, in milliseconds from the first SIGKILL. */
export interface CrowdCost {
  readonly longest: number;
}

/** The fake engine's contract, but a process that costs the machine nothing: hundreds of real engines would measure its memory. */
const sleeper: EnginePlugin = {
  ...fake,
  configure: (options, traits) => ({
    ...fake.configure(options, traits),
    executable: idle.file,
    command: () => ({ args: idle.args, env: {} }),
  }),
};

const get: HttpGet = (url, apiKey) => {
  if (apiKey.startsWith('not-')) return Promise.resolve({ status: 401, body: '' });
  if (url.endsWith('/v1/models')) return Promise.resolve({ status: 200, body: JSON.stringify({ data: [{ id: model }] }) });
  return Promise.resolve({ status: url.endsWith('/health') ? 200 : 404, body: '' });
};

/** Kills all replicas of a supervisor at once. `dir`: for their state. */
export async function crowdCost(replicas: number, dir: string, signal: AbortSignal): Promise<CrowdCost> {
  const file = join(dir, 'crowd.json');
  const entry = { model_loading_config: { model_id: model }, llm_engine: 'fake', deployment_config: { num_replicas: replicas } };
  await writeFile(file, JSON.stringify({ llm_configs: [entry], gateway: { state_dir: join(dir, 'crowd') } }));
  const { config } = loadConfig([file], { env: {}, engines, cores: 2, homeDir: homedir() });
  const { enginePorts, stateDir } = config;
  const log = pino({ level: 'silent' });
  const provider = new LocalProvider({ stateDir, enginePorts, env: process.env, clock: systemClock, log, random: Math.random });
  const tables = new Tables();
  const supervisor = new Supervisor({
    clock: systemClock,
    provider,
    engines: new Map([...engines, [sleeper.name, sleeper]]),
    board: LoadBoard.create(1, slots),
    publish: (table) => tables.take(table),
    appliedVersion: () => tables.last.version,
    get,
    log,
    random: Math.random,
    wallClockSeconds: () => Math.floor(Date.now() / 1000),
  });
  try {
    supervisor.apply(config);
    while (tables.routable().length < replicas) await sleep(100, undefined, { signal });
    return await untilAllKnown(supervisor, tables, signal);
  } finally {
    await supervisor.stop(0, AbortSignal.abort());
  }
}

/** What the workers are told. */
class Tables {
  last = emptyTable;
  heard: (() => void) | undefined;

  take(table: RoutingTable): void {
    this.last = table;
    this.heard?.();
  }

  routable(): readonly ReplicaId[] {
    return [...this.last.models.values()].flatMap(({ replicas }) => replicas.map(({ id }) => id));
  }
}

async function untilAllKnown(supervisor: Supervisor, tables: Tables, signal: AbortSignal): Promise<CrowdCost> {
  const left = new Set(tables.routable());
  const pids = (supervisor.status()[0]?.replicas ?? []).flatMap(({ pid }) => pid ?? []);
  const tookMs: number[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  tables.heard = () => {
    const now = performance.now() - began;
    const routable = new Set(tables.routable());
    for (const id of left) {
      if (routable.has(id)) continue;
      left.delete(id);
      tookMs.push(now);
    }
    if (left.size === 0) resolve(undefined);
  };
  signal.throwIfAborted();
  const began = performance.now();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await promise;
  tables.heard = undefined;
  return { longest: Math.max(...tookMs) };
}

/** The same for children of Node's that nobody supervises. */
export async function bareCrowdCost(count: number, signal: AbortSignal): Promise<CrowdCost> {
  const children = Array.from({ length: count }, () => spawn(idle.file, idle.args, { stdio: 'ignore', detached: true }));
  try {
    await Promise.all(children.map((child) => once(child, 'spawn', { signal })));
    // The kernel may still be busy with their start.
    await sleep(500, undefined, { signal });
    const began = performance.now();
    const ends = children.map(async (child) => {
      await once(child, 'exit', { signal });
      return performance.now() - began;
    });
    for (const child of children) child.kill('SIGKILL');
    const tookMs = await Promise.all(ends);
    return { longest: Math.max(...tookMs) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
