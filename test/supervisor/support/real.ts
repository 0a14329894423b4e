import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { LoadBoard } from '../../../src/core/board.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { modelName } from '../../../src/core/ids.ts';
import { emptyTable } from '../../../src/core/table.ts';
import type { RoutingTable } from '../../../src/core/table.ts';
import type { ModelConfig } from '../../../src/config/config.ts';
import type { EnginePlugin } from '../../../src/plugins/engine-plugin.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import type { GpuLedger } from '../../../src/supervisor/gpus/ledger.ts';
import { LocalProvider } from '../../../src/supervisor/providers/local.ts';
import { readStat } from '../../../src/supervisor/providers/processes.ts';
import type { RestartLimits } from '../../../src/supervisor/restart.ts';
import { Supervisor } from '../../../src/supervisor/supervisor.ts';
import type { ModelReport, ReplicaReport } from '../../../src/supervisor/supervisor.ts';

/** Ports below the ephemeral range, a stretch for each test file's process. */
export const testPorts = { first: 21_000 + (process.pid % 80) * 100, count: 100 } as const;

export interface Real {
  readonly supervisor: Supervisor;
  readonly provider: LocalProvider;
  readonly board: LoadBoard;
  readonly stateDir: string;
  /** Every table published, oldest first. */
  readonly tables: RoutingTable[];
  /** The version workers are said to have applied; follows what is published until it is set. */
  applied: number | undefined;
  readonly table: () => RoutingTable;
  readonly apply: (...models: readonly ModelConfig[]) => void;
  readonly replica: (index?: number, name?: string) => ReplicaReport | undefined;
  readonly report: (name?: string) => ModelReport | undefined;
  /** Resolves once `found` gives something; looks after each change that the supervisor reports. */
  readonly until: <T>(found: () => T | undefined | false) => Promise<T>;
}

/** Pids of living processes that carry the marker of one of this supervisor's replicas. */
export async function marked(prefix: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (environ.includes(`ROUNDHOUSE_REPLICA=${prefix}`)) found.push(Number(pid));
  }
  return found;
}

/** Zombies are dead: in a container without an init nobody collects orphans. */
export function isAlive(pid: number): boolean {
  try {
    return readStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.zombie === false;
  } catch {
    return false;
  }
}

interface Options {
  readonly restart?: RestartLimits;
  readonly gpus?: GpuLedger;
  readonly engines?: ReadonlyMap<string, EnginePlugin>;
  readonly commands?: ReadonlyMap<string, readonly [string, ...string[]]>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** One that a former gateway has used. */
  readonly stateDir?: string;
}

/** A supervisor over real processes and real time; everything it started is gone when the test ends, which is asserted. */
export async function real(t: TestContext, options: Options = {}): Promise<Real> {
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'roundhouse-supervisor-')));
  const log = pino({ level: 'silent' });
  const board = LoadBoard.create(1, 64);
  const tables: RoutingTable[] = [];
  const provider = new LocalProvider({
    clock: systemClock,
    log,
    random: Math.random,
    env: options.env ?? process.env,
    stateDir,
    enginePorts: testPorts,
  });
  const supervisor: Supervisor = new Supervisor({
    clock: systemClock,
    provider,
    engines: options.engines ?? new Map([[fake.name, fake]]),
    board,
    publish: (table) => {
      tables.push(table);
      queueMicrotask(() => supervisor.applied());
    },
    appliedVersion: () => harness.applied ?? tables.at(-1)?.version ?? 0,
    log,
    random: Math.random,
    wallClockSeconds: () => 1_700_000_000,
    ...(options.restart === undefined ? {} : { restart: options.restart }),
    ...(options.gpus === undefined ? {} : { gpus: options.gpus }),
  });
  const replicaPids = new Set<number>();
  supervisor.subscribe(() => {
    for (const { replicas } of supervisor.status()) for (const { pid } of replicas) if (pid !== undefined) replicaPids.add(pid);
  });
  const harness: Real = {
    supervisor,
    provider,
    board,
    stateDir,
    tables,
    applied: undefined,
    table: () => tables.at(-1) ?? emptyTable,
    apply: (...models) =>
      supervisor.apply({
        models,
        apps: new Map([['', new Map(models.map(({ name }) => [name, name]))]]),
        engineCommands: options.commands ?? new Map(),
      }),
    report: (name = 'demo') => supervisor.status().find((entry) => entry.name === modelName(name)),
    replica: (index = 0, name = 'demo') => harness.report(name)?.replicas.find((entry) => entry.index === index),
    until: (found) => until(supervisor, found),
  };
  t.after(async () => {
    await supervisor.stop(0, AbortSignal.abort());
    const left = [...replicaPids].filter(isAlive);
    await rm(stateDir, { recursive: true, force: true });
    assert.deepEqual(left, [], 'engine processes are left');
  });
  return harness;
}

function until<T>(supervisor: Supervisor, found: () => T | undefined | false): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const value = found();
      if (value === undefined || value === false) return;
      clearTimeout(timer);
      unsubscribe();
      resolve(value);
    };
    const timer = setTimeout(() => {
      unsubscribe();
      reject(new Error(`did not come about within 20 s: ${found.toString()}; status ${JSON.stringify(supervisor.status())}`));
    }, 20_000);
    const unsubscribe = supervisor.subscribe(look);
    look();
  });
}
