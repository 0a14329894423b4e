import { pino } from 'pino';
import { LoadBoard } from '../../../src/core/board.ts';
import { modelName } from '../../../src/core/ids.ts';
import type { ReplicaView, RoutingTable } from '../../../src/core/table.ts';
import type { ModelConfig } from '../../../src/config/config.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import type { HttpGet } from '../../../src/supervisor/http-get.ts';
import type { Exit, Listener, LogWatch, ReplicaHandle, ReplicaProvider, ReplicaSpec } from '../../../src/supervisor/providers/provider.ts';
import { Supervisor } from '../../../src/supervisor/supervisor.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const killed: Exit = { code: null, signal: 'SIGKILL' };

/** A process that is only its own record. */
export class MemoryProcess implements ReplicaHandle {
  readonly apiKey = 'key-of-the-run';
  readonly log: string[] = [];
  readonly logFile = '/nowhere.log';
  readonly upstream: string;
  readonly pid: number;
  readonly spec: ReplicaSpec;
  readonly print: LogWatch;
  readonly exited: Promise<Exit>;
  readonly stops: number[] = [];
  /** What its probes answer: its health's status, and the model it serves. */
  health = 200;
  /** Set to keep its health probe without an answer. */
  healthSilent = false;
  /** What its metrics page shows; undefined: the page is as its health. */
  steps: number | undefined;
  serves: string;
  /** Keeps `stop()` from ending it before `exit()` is called. */
  stubborn = false;
  alive = true;
  readonly #exit = Promise.withResolvers<Exit>();

  constructor(pid: number, spec: ReplicaSpec, print: LogWatch) {
    this.pid = pid;
    this.spec = spec;
    this.print = print;
    this.serves = spec.model.name;
    this.upstream = `memory:${pid}`;
    this.exited = this.#exit.promise;
  }

  listener(): Promise<Listener> {
    return Promise.resolve('ours');
  }

  /** Whether it was let go. */
  released = false;

  release(): void {
    this.released = true;
  }

  tail(): readonly string[] {
    return this.log;
  }

  exit(exit: Exit = killed): void {
    this.alive = false;
    this.#exit.resolve(exit);
  }

  stop(graceMs: number): Promise<Exit> {
    this.stops.push(graceMs);
    if (!this.stubborn) this.exit();
    return this.exited;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** Replicas without processes, for what depends on time or on the order of events. */
export class MemoryProvider implements ReplicaProvider {
  readonly processes: MemoryProcess[] = [];
  /** What a new process is like. */
  prepare: (process: MemoryProcess) => void = () => undefined;
  /** Set to hold launches up; they go on, or fail, as it settles. */
  gate: Promise<void> = Promise.resolve();

  async launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<ReplicaHandle> {
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    signal.addEventListener('abort', () => aborted.reject(signal.reason as Error), { once: true });
    await Promise.race([this.gate, aborted.promise]);
    signal.throwIfAborted();
    const process = new MemoryProcess(1000 + this.processes.length, spec, watch);
    this.prepare(process);
    this.processes.push(process);
    return process;
  }

  get alive(): readonly MemoryProcess[] {
    return this.processes.filter((process) => process.alive);
  }

  get: HttpGet = async (url, _apiKey, signal) => {
    const process = this.processes.find(({ upstream }) => url.startsWith(`${upstream}/`));
    signal.throwIfAborted();
    if (process?.alive !== true) throw new Error('connect ECONNREFUSED');
    if (url.endsWith('/v1/models')) return { status: 200, body: JSON.stringify({ data: [{ id: process.serves }] }) };
    if (url.endsWith('/metrics') && process.steps !== undefined) return { status: 200, body: `fake:steps_total ${process.steps}\n` };
    if (url.endsWith('/health') && process.healthSilent) return await aborted(signal);
    return { status: process.health, body: '' };
  };
}

export interface Simulation {
  readonly clock: ManualClock;
  readonly provider: MemoryProvider;
  readonly supervisor: Supervisor;
  readonly board: LoadBoard;
  readonly tables: RoutingTable[];
  /** The version the workers have applied; undefined: always the newest. */
  applied: number | undefined;
  apply(...models: readonly ModelConfig[]): void;
  /** What the newest table has of a model. */
  views(name?: string): readonly ReplicaView[];
  /** States of a model's replicas, by index. */
  states(name?: string): readonly string[];
}

export function simulate(slots = 64): Simulation {
  const clock = new ManualClock();
  const provider = new MemoryProvider();
  const board = LoadBoard.create(1, slots);
  const tables: RoutingTable[] = [];
  let ids = 0;
  const supervisor = new Supervisor({
    clock,
    provider,
    engines: new Map([[fake.name, fake]]),
    board,
    publish: (table) => tables.push(structuredClone(table)),
    appliedVersion: () => simulation.applied ?? tables.at(-1)?.version ?? 0,
    log: pino({ level: 'silent' }),
    // Half of the jitter, and ids that differ.
    random: () => 0.5 + (ids += 1) / 2 ** 32,
    wallClockSeconds: () => 1_700_000_000,
    get: (url, apiKey, signal, ca) => provider.get(url, apiKey, signal, ca),
  });
  const simulation: Simulation = {
    clock,
    provider,
    supervisor,
    board,
    tables,
    applied: undefined,
    apply: (...models) =>
      supervisor.apply({ models, apps: new Map([['', new Map(models.map(({ name }) => [name, name]))]]), engineCommands: new Map() }),
    views: (name = 'demo') => tables.at(-1)?.models.get(modelName(name))?.replicas ?? [],
    states: (name = 'demo') =>
      supervisor
        .status()
        .filter((report) => report.name === modelName(name))
        .flatMap(({ replicas }) => replicas.map(({ state }) => state)),
  };
  return simulation;
}
