import type { ReplicaId } from '../core/ids.ts';
import type { StartedWith } from './adapters/started.ts';
import type { Failure } from './failure.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import { ReplicaEffects } from './replica-effects.ts';
import { replicaName } from './replica-id.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { transition } from './transition.ts';
import type { Limits, ReplicaEvent, ReplicaState } from './replica-state.ts';
import { reportOf } from './report.ts';
import type { ReplicaReport } from './report.ts';
import { cleanRecord } from './restart.ts';
import { startedWith, viewOf } from './run.ts';
import type { EngineAddress, FormerRun } from './run.ts';
import { firstPhase } from './run-log.ts';
import { startLeftMs } from './start-estimate.ts';
import type { Turn } from './start-queue.ts';
import type { ReplicaFact } from './table.ts';

/** The weights of a large model take a minute each way. */
const sleepTimeoutMs = 120_000;

/**
 * The single owner of one replica's state. Events come in through `send()`, one at a time; `transition()` decides; `ReplicaEffects` carries
 * out.
 */
export class Replica {
  readonly index: number;
  /** E.g. `smollm2-135m-0`. */
  readonly #name: string;
  readonly #deps: ReplicaDeps;
  readonly #effects: ReplicaEffects;
  readonly #inbox: ReplicaEvent[] = [];
  #plan: ReplicaPlan;
  #state: ReplicaState = { kind: 'pending', record: cleanRecord };
  #since: number;
  #scope = new AbortController();
  #lastFailure: Failure | undefined;
  #handling = false;

  /**
   * @param index unique among the replicas of the model that there are at a time.
   * @param former what its first start takes over instead of launching.
   */
  constructor(index: number, plan: ReplicaPlan, deps: ReplicaDeps, former?: FormerRun) {
    this.index = index;
    this.#name = replicaName(plan.model.name, index);
    this.#plan = plan;
    this.#deps = deps;
    this.#effects = new ReplicaEffects(this, this.#name, deps, former);
    this.#since = deps.clock.now();
  }

  /** Asks for its first start. */
  start(): void {
    this.#effects.do({ kind: 'await-turn' }, this.#scope.signal);
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get plan(): ReplicaPlan {
    return this.#plan;
  }

  /** Takes over settings that need no new process. `plan.fingerprint` must be its own. */
  update(plan: ReplicaPlan): void {
    this.#plan = this.#plan.upstream === undefined ? plan : { ...plan, upstream: this.#plan.upstream };
  }

  /** Events sent while one is handled wait for its end, so that no transition ever sees another half done. */
  send(event: ReplicaEvent): void {
    this.#inbox.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) this.#handle(next);
    } finally {
      this.#handling = false;
    }
  }

  #limits(): Limits {
    return { restart: this.#deps.restart, startupTimeoutMs: this.#plan.model.startupTimeoutMs, sleepTimeoutMs };
  }

  #handle(event: ReplicaEvent): void {
    const before = this.#state;
    const [after, effects] = transition(before, event, this.#deps.clock.now(), this.#limits());
    this.#state = after;
    if (after.kind !== before.kind) this.#entered(before, event);
    for (const effect of effects) this.#effects.do(effect, this.#scope.signal);
    if (after !== before) this.#deps.changed();
  }

  #entered(before: ReplicaState, event: ReplicaEvent): void {
    this.#since = this.#deps.clock.now();
    this.#scope.abort(new Error(`replica left state ${before.kind}`));
    this.#scope = new AbortController();
    if (event.kind === 'gone' && event.failure !== undefined) this.#failed(event.failure);
    if (this.#state.kind === 'ready') this.#lastFailure = undefined;
    this.#effects.entered(before);
    const { run, lastRun } = this.#effects;
    const fields = { replica: this.#name, run: run?.id ?? lastRun?.id, from: before.kind, on: event.kind };
    if ('failure' in this.#state)
      this.#deps.log.warn({ ...fields, code: this.#state.failure.code }, `${this.#state.kind}: ${this.#state.failure.message}`);
    else this.#deps.log.info(fields, `replica is ${this.#state.kind}`);
  }

  #failed(failure: Failure): void {
    this.#lastFailure = failure;
    this.#deps.failed(failure);
  }

  /** What no text that an engine wrote may show. */
  secrets(): readonly string[] {
    return this.#effects.secrets();
  }

  /** How its present engine is asked; undefined while it has none, or for a run that is over. */
  address(id: ReplicaId): EngineAddress | undefined {
    const { run } = this.#effects;
    return run?.id === id ? run.handle : undefined;
  }

  /** Why it waits for GPUs; undefined while it does not. */
  get gpuWait(): string | undefined {
    return this.#effects.waits.gpus?.reason;
  }

  /** Whether it can be told to sleep. */
  get canSleep(): boolean {
    return this.#plan.engine.sleep !== undefined && this.#plan.upstream === undefined && !this.#effects.wakeful;
  }

  /** Requests on it. */
  get inFlight(): number {
    const { run } = this.#effects;
    return run === undefined ? 0 : this.#deps.board.read(run.turn.slot);
  }

  /** Waits for GPUs that others hold. */
  get lacksGpus(): boolean {
    return this.#state.kind === 'pending' && this.#effects.waits.gpus?.possible === true;
  }

  /** The slot it is counted on; undefined while no run exists. */
  get slot(): Turn['slot'] | undefined {
    return this.#effects.run?.turn.slot;
  }

  /** What its present process was started with; undefined where it has none of ours. */
  get started(): StartedWith | undefined {
    const { run } = this.#effects;
    return run === undefined || this.#plan.upstream !== undefined ? undefined : startedWith(run);
  }

  fact(): ReplicaFact {
    const { run, waits } = this.#effects;
    return {
      state: this.#state,
      phase: run?.log.phase ?? firstPhase,
      view: run === undefined ? undefined : viewOf(run, this.#plan, this.index),
      started: this.started,
      lastFailure: this.#lastFailure,
      capabilities: run?.capabilities,
      waitsFor: waits.files?.phase ?? waits.gpus?.reason,
      fetching: waits.files !== undefined,
      waitMs: waits.files?.etaMs,
      startMs: startLeftMs(this.#deps.history, this.#plan, run, this.#state),
    };
  }

  report(): ReplicaReport {
    const { run, lastRun, launches, probeFlaps } = this.#effects;
    return reportOf(
      { index: this.index, fact: this.fact(), since: this.#since, run, lastRun, launches, probeFlaps },
      this.inFlight,
      this.#deps.clock.now(),
    );
  }
}
