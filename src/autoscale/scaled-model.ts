import type { Autoscaling } from '../config/config.ts';
import type { ModelLoad } from '../core/model-load.ts';
import { decide, decisionPeriodMs } from './decide.ts';
import type { ScaleInput, ScaleReason, ScaleState, Why } from './decide.ts';
import { History } from './history.ts';
import type { DecisionRecord } from './history.ts';
import type { GpuUser } from './preempt.ts';
import { LoadWindow } from './window.ts';

/** How one model has been scaled so far. */
export class ScaledModel {
  readonly history = new History();
  readonly changes: Partial<Record<ScaleReason | 'by-hand' | 'yielded', number>> = {};
  rule: Autoscaling;
  state: ScaleState;
  /** Of the last decision. */
  why: Why | undefined;
  /** Whether its replicas were told to sleep. */
  sleep = false;
  #window: LoadWindow;
  /** When it last had a request. */
  #busyAt: number;
  #progress: number | undefined;
  #lacksSince: number | undefined;

  /** @param now clock time in milliseconds, as everywhere here */
  constructor(rule: Autoscaling, state: ScaleState, now: number) {
    this.rule = rule;
    this.state = state;
    this.#window = new LoadWindow(rule.lookBackMs);
    this.#busyAt = now;
  }

  follow(rule: Autoscaling, state: ScaleState): void {
    if (rule.lookBackMs !== this.rule.lookBackMs) this.#window = new LoadWindow(rule.lookBackMs);
    this.rule = rule;
    this.state = state;
  }

  /** @param wallMs the same moment as `now`, in Unix milliseconds @param periodMs since the decision before */
  decide(load: ModelLoad, now: number, wallMs: number, periodMs: number = decisionPeriodMs): DecisionRecord {
    const { rule, state } = this;
    const input = this.#look(load, now);
    const { replicas, state: next, why, sleep } = decide(rule, state, input, periodMs);
    this.state = next;
    this.why = why;
    if (replicas !== state.target || (sleep && !this.sleep)) this.#count(why.reason);
    this.sleep = sleep;
    const record = { at: wallMs, rule, state, input, replicas, reason: why.reason };
    this.history.decided(record);
    return record;
  }

  /** Whether time alone changes nothing any more. */
  get settled(): boolean {
    const reason = this.why?.reason;
    return this.state.counter === 0 && (reason === 'steady' || reason === 'asleep') && this.#window.points().length === 1;
  }

  /** The rule goes on from this number. */
  set(replicas: number, kind: 'by-hand' | 'yielded', because: string, wallMs: number): void {
    this.history.intervened({ at: wallMs, from: this.state.target, replicas, because });
    this.state = { target: replicas, counter: 0 };
    this.#count(kind);
  }

  /** As of the decision that was made last. */
  gpuUser(
    { name, priority, running, asleep, gpusEach, gpuNeed, leaving, waiting, inFlight, newestSince }: ModelLoad,
    now: number,
  ): GpuUser {
    return {
      name,
      priority,
      min: this.rule.min,
      target: this.state.target,
      running,
      asleep,
      gpusEach,
      gpuNeed,
      leaving,
      ongoing: waiting + inFlight,
      idleMs: now - this.#busyAt,
      servedMs: newestSince === undefined ? 0 : now - newestSince,
      lacksForMs: this.#lacksSince === undefined ? undefined : now - this.#lacksSince,
    };
  }

  #look({ waiting, inFlight, progress, running, asleep, lacksGpus }: ModelLoad, now: number): ScaleInput {
    const ongoingNow = waiting + inFlight;
    // Requests too short to be seen in flight are seen by what was sent for them.
    if (ongoingNow > 0 || (this.#progress !== undefined && progress !== this.#progress)) this.#busyAt = now;
    this.#progress = progress;
    this.#lacksSince = lacksGpus === undefined ? undefined : (this.#lacksSince ?? now);
    this.#window.add(now, ongoingNow);
    const ongoing = this.#window.read(this.rule.aggregation, now);
    return { ongoing, ongoingNow, running, asleep, idleMs: now - this.#busyAt, lacksGpus: lacksGpus !== undefined };
  }

  #count(reason: ScaleReason | 'by-hand' | 'yielded'): void {
    this.changes[reason] = (this.changes[reason] ?? 0) + 1;
  }
}
