import type pino from 'pino';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/errors.ts';
import type { ModelName, Slot } from '../core/ids.ts';
import { emptyTable } from '../core/table.ts';
import type { RoutingTable } from '../core/table.ts';
import type { Config, ModelConfig } from '../config/config.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import { plan, standingOf } from './plan.ts';
import type { Step } from './plan.ts';
import { undiciGet } from './probe.ts';
import type { HttpGet } from './probe.ts';
import type { ReplicaProvider } from './providers/provider.ts';
import { Replica } from './replica.ts';
import type { ReplicaPlan } from './replica.ts';
import type { ModelReport } from './report.ts';
import { defaultRestartLimits } from './restart.ts';
import type { RestartLimits } from './restart.ts';
import { Slots } from './slots.ts';
import { StartQueue } from './start-queue.ts';
import { buildTable, contentOf, modelStatus } from './table.ts';
import type { ModelFact } from './table.ts';

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly provider: ReplicaProvider;
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly board: LoadBoard;
  /** Hands a table to every worker. */
  publish(table: RoutingTable): void;
  /** Lowest version that every live worker has applied; Infinity when none lives. */
  appliedVersion(): number;
  readonly log: pino.Logger;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  /** Unix time. */
  wallClockSeconds(): number;
  readonly get?: HttpGet;
  readonly restart?: RestartLimits;
}

export type { ModelReport, ReplicaReport } from './report.ts';

type Desired = Pick<Config, 'models' | 'apps' | 'engineCommands'>;

interface Model {
  readonly plan: ReplicaPlan;
  readonly waiting: Slot;
  /** Unix seconds. */
  readonly created: number;
  /** Restarts of replicas that exist no more. */
  formerRestarts: number;
}

/** Engines that may start at once, and how long a slow start counts among them. */
const startLimits = { parallel: 8, longestMs: 60_000 } as const;
/** How often the second fact of a drain (nothing in flight) is looked for. */
const drainPollMs = 50;
/** How long a hurried stop waits for processes that even SIGKILL has not ended yet. */
const hurriedStopMs = 5_000;

/**
 * The control plane's loop. Every change - a config, a replica's state, a table applied - marks it dirty; one pass of `#reconcile()`
 * at the end of the same turn plans, carries the steps out and publishes what has become of the routing table.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #slots: Slots;
  readonly #starts: StartQueue;
  readonly #models = new Map<ModelName, Model>();
  readonly #replicas = new Map<number, { readonly model: ModelName; readonly replica: Replica }>();
  readonly #listeners = new Set<() => void>();
  /** For a slot that some table has named: the version of the first one that does not. */
  readonly #withdrawnIn = new Map<Slot, number>();
  #apps: Config['apps'] = new Map();
  #table: RoutingTable = emptyTable;
  /** Slots that `#table` names. */
  #named: ReadonlySet<Slot> = new Set();
  #content = contentOf(emptyTable);
  #nextKey = 0;
  #dirty = false;
  #cancelPoll: (() => void) | undefined;
  #stopping: { readonly deadline: number; readonly done: () => void } | undefined;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#slots = new Slots(deps.board.slots);
    this.#starts = new StartQueue(deps.clock, this.#slots, startLimits);
  }

  /**
   * Makes `config` the desired state. Models whose replicas would be the same processes keep them.
   * @throws GatewayError `config_invalid` when an engine is unknown or refuses its options, or the load board has no slot for a model;
   * then nothing has changed.
   */
  apply(config: Desired): void {
    const plans = config.models.map((model) => this.#planFor(model, config.engineCommands));
    const fresh = plans.filter((plan) => !this.#models.has(plan.model.name));
    const slots = fresh.map(() => this.#slots.take()).filter((slot) => slot !== undefined);
    if (slots.length < fresh.length) {
      for (const slot of slots) this.#slots.retire(slot);
      this.#settleDrains();
      throw new GatewayError(
        'config_invalid',
        `${config.models.length} models need more slots than the load board has (${this.#deps.board.slots})`,
      );
    }
    const wanted = new Set(config.models.map((model) => model.name));
    for (const [name, model] of this.#models) {
      if (wanted.has(name)) continue;
      this.#models.delete(name);
      this.#slots.retire(model.waiting);
    }
    for (const plan of plans) this.#setModel(plan, slots);
    this.#apps = config.apps;
    this.#changed();
  }

  /** To be called whenever `appliedVersion()` may have grown. */
  applied(): void {
    this.#settleDrains();
  }

  status(): readonly ModelReport[] {
    const now = this.#deps.clock.now();
    return [...this.#models].map(([name, { plan, waiting, formerRestarts }]) => {
      const replicas = this.#replicasOf(name);
      const reports = replicas.map((replica) => replica.report()).sort((a, b) => a.index - b.index);
      const facts = replicas.map((replica) => replica.fact());
      return {
        name,
        engine: plan.model.engine,
        desired: plan.model.replicas,
        status: modelStatus(facts, now),
        waiting: this.#deps.board.read(waiting),
        restarts: reports.reduce((sum, report) => sum + report.restarts, formerRestarts),
        replicas: reports,
      };
    });
  }

  /** Calls `listener` after anything in `status()` but the counters changed; returns how to end that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Drains every replica, for at most `drainMs`, then ends its processes; resolves when none is left. Once `hurry` is aborted it
   * kills instead, and waits at most 5 s more. The models stay in the table, without replicas. To be called once.
   */
  async stop(drainMs: number, hurry: AbortSignal): Promise<void> {
    const deadline = this.#deps.clock.now() + drainMs;
    const stopped = new Promise<void>((done) => {
      this.#stopping = { deadline, done };
    });
    // Those that drain already may have been given longer.
    for (const { replica } of this.#replicas.values()) replica.send({ kind: 'drain', deadline });
    const givenUp = new AbortController();
    const hurried = new Promise<void>((resolve) => {
      const kill = (): void => {
        for (const { replica } of this.#replicas.values()) replica.send({ kind: 'stop', now: true });
        const cancel = this.#deps.clock.after(hurriedStopMs, resolve);
        givenUp.signal.addEventListener('abort', cancel, { once: true });
      };
      if (hurry.aborted) kill();
      else hurry.addEventListener('abort', kill, { once: true, signal: givenUp.signal });
    });
    this.#changed();
    await Promise.race([stopped, hurried]);
    givenUp.abort();
    this.#cancelPoll?.();
    const left = [...this.#replicas.values()].map(({ replica }) => replica.report().pid).filter((pid) => pid !== undefined);
    if (left.length > 0) this.#deps.log.error({ pids: left }, 'engine processes did not end after SIGKILL');
  }

  #planFor(model: ModelConfig, commands: Desired['engineCommands']): ReplicaPlan {
    const plugin = this.#deps.engines.get(model.engine);
    if (plugin === undefined) {
      throw new GatewayError(
        'config_invalid',
        `${model.name}: no engine "${model.engine}"; there are ${[...this.#deps.engines.keys()].join(', ')}`,
      );
    }
    const engine = plugin.configure(model.engineOptions);
    const command = commands.get(model.engine) ?? [engine.executable];
    const fingerprint = JSON.stringify([model.engine, model.source, sorted(model.engineOptions), sorted(model.env), command]);
    return { model, engine, command, fingerprint };
  }

  #setModel(plan: ReplicaPlan, slots: Slot[]): void {
    const { name } = plan.model;
    const before = this.#models.get(name);
    const waiting = before?.waiting ?? slots.shift();
    if (waiting === undefined) throw new Error(`no slot was reserved for ${name}`);
    const created = before?.created ?? this.#deps.wallClockSeconds();
    this.#models.set(name, { plan, waiting, created, formerRestarts: before?.formerRestarts ?? 0 });
    for (const replica of this.#replicasOf(name)) if (replica.plan.fingerprint === plan.fingerprint) replica.update(plan);
  }

  #replicasOf(name: ModelName): Replica[] {
    return [...this.#replicas.values()].filter(({ model }) => model === name).map(({ replica }) => replica);
  }

  #changed(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    // One pass for all that changes in this turn: a config of 1000 models is one table, not 1000.
    queueMicrotask(() => this.#reconcile());
  }

  #reconcile(): void {
    this.#dirty = false;
    this.#forgetStopped();
    for (const step of this.#plan()) this.#take(step);
    this.#publish();
    this.#settleDrains();
    for (const listener of this.#listeners) listener();
    if (this.#replicas.size === 0) this.#stopping?.done();
  }

  #forgetStopped(): void {
    for (const [key, { model, replica }] of this.#replicas) {
      if (replica.state.kind !== 'stopped') continue;
      this.#replicas.delete(key);
      const entry = this.#models.get(model);
      if (entry !== undefined) entry.formerRestarts += replica.report().restarts;
    }
  }

  #plan(): readonly Step[] {
    const desired = [...this.#models.values()].map(({ plan }) => ({
      name: plan.model.name,
      replicas: this.#stopping === undefined ? plan.model.replicas : 0,
      fingerprint: plan.fingerprint,
    }));
    const observed = [...this.#replicas].map(([key, { model, replica }]) => ({
      key,
      model,
      index: replica.index,
      fingerprint: replica.plan.fingerprint,
      standing: standingOf(replica.state),
    }));
    return plan(desired, observed);
  }

  #take(step: Step): void {
    switch (step.kind) {
      case 'add':
        this.#add(step.model, step.index);
        return;
      case 'drain': {
        const replica = this.#replicas.get(step.key)?.replica;
        const deadline = this.#stopping?.deadline ?? this.#deps.clock.now() + (replica?.plan.model.drainTimeoutMs ?? 0);
        replica?.send({ kind: 'drain', deadline });
      }
    }
  }

  #add(name: ModelName, index: number): void {
    const model = this.#models.get(name);
    if (model === undefined) throw new Error(`planned a replica of ${name}, which is not configured`);
    const key = this.#nextKey;
    this.#nextKey += 1;
    const replica = new Replica(index, model.plan, {
      clock: this.#deps.clock,
      provider: this.#deps.provider,
      get: this.#deps.get ?? undiciGet,
      board: this.#deps.board,
      log: this.#deps.log,
      random: this.#deps.random,
      restart: this.#deps.restart ?? defaultRestartLimits,
      turn: (signal) => this.#starts.take(signal),
      retire: (turn) => {
        this.#slots.retire(turn.slot);
        this.#changed();
      },
      changed: () => this.#changed(),
    });
    this.#replicas.set(key, { model: name, replica });
    replica.start();
    this.#changed();
  }

  #facts(): ModelFact[] {
    const byModel = Map.groupBy(this.#replicas.values(), ({ model }) => model);
    return [...this.#models].map(([name, { plan, waiting, created }]) => ({
      config: plan.model,
      waiting,
      created,
      replicas: (byModel.get(name) ?? []).map(({ replica }) => replica.fact()),
    }));
  }

  #publish(): void {
    const table = buildTable(this.#table.version + 1, this.#facts(), this.#apps, this.#deps.clock.now());
    const content = contentOf(table);
    if (content === this.#content) return;
    const named = slotsOf(table);
    for (const slot of this.#named) if (!named.has(slot)) this.#withdrawnIn.set(slot, table.version);
    for (const slot of named) this.#withdrawnIn.delete(slot);
    this.#table = table;
    this.#named = named;
    this.#content = content;
    this.#deps.publish(table);
  }

  /** Both facts of a drain: every worker has applied a table without the slot, and nothing is counted on it. */
  #quiet(slot: Slot): boolean {
    if (this.#named.has(slot)) return false;
    return this.#deps.appliedVersion() >= (this.#withdrawnIn.get(slot) ?? 0) && this.#deps.board.read(slot) === 0;
  }

  #settleDrains(): void {
    let waiting = false;
    for (const { replica } of this.#replicas.values()) {
      if (replica.state.kind !== 'draining' || replica.slot === undefined) continue;
      if (this.#quiet(replica.slot)) replica.send({ kind: 'drained' });
      else waiting = true;
    }
    if (this.#slots.reclaim((slot) => this.#quiet(slot))) this.#starts.wake();
    this.#cancelPoll?.();
    this.#cancelPoll = waiting || this.#slots.retiring > 0 ? this.#deps.clock.after(drainPollMs, () => this.#settleDrains()) : undefined;
  }
}

function slotsOf(table: RoutingTable): ReadonlySet<Slot> {
  return new Set([...table.models.values()].flatMap((entry) => [entry.waiting, ...entry.replicas.map((view) => view.slot)]));
}

/** Keys in order, so that a config written in another order is the same config. */
function sorted(record: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
