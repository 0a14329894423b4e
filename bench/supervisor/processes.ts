import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { systemClock } from '../../src/core/clock.ts';
import { engines } from '../../src/plugins/registry.ts';
import { LocalProvider } from '../../src/supervisor/providers/local.ts';
import type { ReplicaReport } from '../../src/supervisor/report.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { median } from '../measure/statistics.ts';

const slots = 1024;

interface Spread {
  readonly median: number;
  readonly longest: number;
}

/** What real processes of the fake engine cost the control plane, and how soon it knows of their end. */
export interface ProcessCost {
  /** CPU of its thread while nothing is asked of them, as a share of one core. */
  readonly restShare: number;
  /** From SIGKILL to the replica being out of the routing table. */
  readonly exitMs: Spread;
  /** The same for a child process of Node's that nobody supervises: what the machine takes. */
  readonly bareExitMs: Spread;
  /** Until another gateway has taken all of them over, and they stand in its routing table. */
  readonly adoptionMs: number;
}

export interface ProcessLoad {
  readonly replicas: number;
  /** How many of them are killed, one after the other. */
  readonly kills: number;
  /** How long nothing is asked of them, for the cost at rest. */
  readonly restMs: number;
}

/** Starts engines, looks at what they cost, and kills some. `dir`: for their state. */
export async function processCost({ replicas, kills, restMs }: ProcessLoad, dir: string, signal: AbortSignal): Promise<ProcessCost> {
  const file = join(dir, 'engines.json');
  const entry = { model_loading_config: { model_id: 'demo' }, llm_engine: 'fake', deployment_config: { num_replicas: replicas } };
  await writeFile(file, JSON.stringify({ llm_configs: [entry], gateway: { state_dir: join(dir, 'engines') } }));
  const { config } = loadConfig([file], { env: {}, engines, cores: 2, homeDir: homedir() });
  const { supervisor } = open(config);
  // Whoever has the engines at the end ends them.
  let owner = supervisor;
  try {
    supervisor.apply(config);
    while (ready(supervisor).length < replicas) await sleep(100, undefined, { signal });
    const before = process.threadCpuUsage();
    await sleep(restMs, undefined, { signal });
    const { user, system } = process.threadCpuUsage(before);
    const tookMs: number[] = [];
    const bareMs: number[] = [];
    for (const { index, pid } of ready(supervisor).slice(0, kills)) {
      tookMs.push(await untilKnown(supervisor, index, pid, signal));
      // The next one is killed when this one's successor is there, and does not take the machine's time any more.
      while (ready(supervisor).length < replicas) await sleep(100, undefined, { signal });
      bareMs.push(await untilBareKnown(signal));
    }
    await supervisor.stop(0, signal, { keepEngines: true });
    const next = open(config);
    owner = next.supervisor;
    const began = performance.now();
    await owner.recover(config, next.provider);
    await untilReady(owner, replicas, signal);
    const adoptionMs = performance.now() - began;
    return { restShare: (user + system) / 1000 / restMs, exitMs: spread(tookMs), bareExitMs: spread(bareMs), adoptionMs };
  } finally {
    await owner.stop(0, AbortSignal.abort());
  }
}

/** A supervisor of real processes, without workers. */
function open({ enginePorts, stateDir }: Config): { readonly supervisor: Supervisor; readonly provider: LocalProvider } {
  const log = pino({ level: 'silent' });
  const provider = new LocalProvider({ stateDir, enginePorts, env: process.env, clock: systemClock, log, random: Math.random });
  let version = 0;
  const supervisor = new Supervisor({
    clock: systemClock,
    provider,
    engines,
    board: LoadBoard.create(1, slots),
    publish: (table) => (version = table.version),
    appliedVersion: () => version,
    log,
    random: Math.random,
    wallClockSeconds: () => Math.floor(Date.now() / 1000),
  });
  return { supervisor, provider };
}

/** Resolves in the turn in which so many replicas have become ready. */
async function untilReady(supervisor: Supervisor, replicas: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const look = (): void => {
    if (ready(supervisor).length === replicas) resolve(undefined);
  };
  const unsubscribe = supervisor.subscribe(look);
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  look();
  try {
    await promise;
  } finally {
    unsubscribe();
  }
}

function ready(supervisor: Supervisor): readonly ReplicaReport[] {
  return (supervisor.status()[0]?.replicas ?? []).filter(({ state }) => state === 'ready');
}

/** Kills an engine; resolves with the milliseconds until the supervisor says that it is not ready any more. */
async function untilKnown(supervisor: Supervisor, index: number, pid: number | undefined, signal: AbortSignal): Promise<number> {
  if (pid === undefined) throw new Error(`replica ${index} has no process`);
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<number>();
  const began = performance.now();
  const unsubscribe = supervisor.subscribe(() => {
    if (!ready(supervisor).some((replica) => replica.index === index && replica.pid === pid)) resolve(performance.now() - began);
  });
  process.kill(pid, 'SIGKILL');
  try {
    return await promise;
  } finally {
    unsubscribe();
  }
}

async function untilBareKnown(signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setInterval(() => undefined, 1000)'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  try {
    await once(child.stdout, 'data', { signal });
    const began = performance.now();
    child.kill('SIGKILL');
    await exited;
    return performance.now() - began;
  } finally {
    child.kill('SIGKILL');
  }
}

function spread(values: readonly number[]): Spread {
  return { median: median([...values]), longest: Math.max(...values) };
}
