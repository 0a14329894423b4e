import type { Autoscaling } from '../config/config.ts';
import { bounded, rayDecision } from './ray-policy.ts';
import type { RayOutcome, RayRule, RayState, RayTerms } from './ray-policy.ts';

/** Between two decisions, as Ray's control loop makes them: delays are counted in these. */
export const decisionPeriodMs = 100;

/** All that a decision is made from. */
export interface ScaleInput {
  /** Requests, sent and waiting, over the look-back period, by the rule's aggregation. */
  readonly ongoing: number;
  /** The same at this moment. */
  readonly ongoingNow: number;
  /** Replicas that serve. */
  readonly running: number;
  /** Replicas that sleep, or are about to; left out: none. */
  readonly asleep?: number;
  /** Since a request was last there, in milliseconds; 0 while one is. */
  readonly idleMs: number;
  /** Whether a replica waits for GPUs that others hold. */
  readonly lacksGpus: boolean;
}

/** What one decision hands to the next. */
export type ScaleState = RayState;

export type ScaleReason =
  /** The load is what the replicas are for. */
  | 'steady'
  /** More or fewer would do, but not for long enough yet. */
  | 'up-delayed'
  | 'down-delayed'
  | 'to-zero-delayed'
  | 'up'
  | 'down'
  | 'to-zero'
  /** None runs, and none is wanted. */
  | 'asleep'
  /** Nobody needs them: they sleep, or are told to. */
  | 'sleeping'
  /** A request came while there was none. */
  | 'cold-start'
  /** It has left before a GPU was found for it. */
  | 'withdrawn'
  /** Those wanted are still starting: the formula needs one that serves. */
  | 'starting';

export interface Why {
  readonly reason: ScaleReason;
  readonly input: ScaleInput;
  /** Before this decision. */
  readonly from: number;
  /** Undefined where nothing runs: the formula has no meaning then. */
  readonly terms: RayTerms | undefined;
  /** How long it has been wanted, and how long it must be. */
  readonly delay: { readonly elapsedMs: number; readonly neededMs: number } | undefined;
  /** What the load would need beyond a bound; undefined within them. */
  readonly bound: { readonly kind: 'max' | 'min'; readonly wanted: number } | undefined;
}

export interface Decision {
  readonly replicas: number;
  /** Whether those that can are to sleep. */
  readonly sleep: boolean;
  readonly state: ScaleState;
  readonly why: Why;
}

export function initialState(rule: Pick<Autoscaling, 'initial'>): ScaleState {
  return { target: rule.initial, counter: 0 };
}

/** The state under other bounds: what was counted so far was counted for another rule. */
export function underRule(rule: Pick<Autoscaling, 'min' | 'max'>, state: ScaleState): ScaleState {
  return { target: bounded(rule, state.target), counter: 0 };
}

/** The last one made of each rule: a simulated day asks for millions, nearly all alike. */
const rayRules = new WeakMap<Autoscaling, RayRule>();

function rayRule(rule: Autoscaling, state: ScaleState, periodMs: number): RayRule {
  // Where idle time decides about the last replica, the formula leaves it alone.
  const least = rule.toZero.kind === 'idle' ? Math.max(rule.min, Math.min(1, state.target)) : rule.min;
  const last = rayRules.get(rule);
  if (last !== undefined && last.min === least && last.periodMs === periodMs) return last;
  const made = newRayRule(rule, least, periodMs);
  rayRules.set(rule, made);
  return made;
}

function newRayRule(rule: Autoscaling, least: number, periodMs: number): RayRule {
  const { max, target, upscalingFactor, downscalingFactor, upscaleDelayMs, downscaleDelayMs, toZero } = rule;
  return {
    min: least,
    max,
    targetOngoing: target.ongoing,
    upscalingFactor,
    downscalingFactor,
    upscaleDelayMs,
    downscaleDelayMs,
    downscaleToZeroDelayMs: toZero.ms,
    periodMs,
  };
}

function boundOf(rule: Autoscaling, terms: RayTerms | undefined): Why['bound'] {
  if (terms === undefined) return undefined;
  if (terms.unbounded > rule.max) return { kind: 'max', wanted: terms.unbounded };
  if (terms.unbounded < rule.min) return { kind: 'min', wanted: Math.max(0, terms.unbounded) };
  return undefined;
}

const delayed = { up: 'up-delayed', down: 'down-delayed', 'to-zero': 'to-zero-delayed' } as const;

/** Idle time decides about the last replica, and about all that sleep: undefined where it does not. */
function idleDecision(rule: Autoscaling, state: ScaleState, input: ScaleInput): Pick<Why, 'reason' | 'delay'> | undefined {
  const { toZero, min, sleepMs = Number.POSITIVE_INFINITY } = rule;
  if (toZero.kind !== 'idle' || min > 0 || state.target === 0 || input.ongoingNow > 0) return undefined;
  const sleep = input.idleMs >= sleepMs;
  if (state.target !== 1 && !sleep) return undefined;
  const delay = { elapsedMs: input.idleMs, neededMs: toZero.ms };
  if (input.idleMs >= toZero.ms) return { reason: 'to-zero', delay };
  return { reason: sleep ? 'sleeping' : 'to-zero-delayed', delay };
}

/**
 * How many replicas there should be. Ray's rule (`rayDecision`) with two differences: where no replica runs, what is there now counts
 * and not the past (a client that has left wants nothing), and where the config gives no delay of Ray's to zero, idle time decides.
 * @param periodMs since the decision before
 */
export function decide(rule: Autoscaling, state: ScaleState, input: ScaleInput, periodMs: number = decisionPeriodMs): Decision {
  const left = input.asleep ?? 0;
  if (rule.min === 0 && state.target > left && input.running === 0 && input.ongoingNow === 0 && input.lacksGpus) {
    const why: Why = { reason: 'withdrawn', input, from: state.target, terms: undefined, delay: undefined, bound: undefined };
    return { replicas: left, sleep: left > 0, state: { target: left, counter: 0 }, why };
  }
  const idle = idleDecision(rule, state, input);
  if (idle?.reason === 'to-zero' || idle?.reason === 'sleeping') {
    const why: Why = { ...idle, input, from: state.target, terms: undefined, bound: undefined };
    const target = idle.reason === 'sleeping' ? state.target : 0;
    return { replicas: target, sleep: target > 0, state: { target, counter: 0 }, why };
  }
  const ongoing = input.running === 0 ? input.ongoingNow : input.ongoing;
  const { state: next, outcome } = rayDecision(rayRule(rule, state, periodMs), state, { ongoing, running: input.running });
  const terms = outcome.kind === 'none-running' ? undefined : outcome.terms;
  const { reason, delay } = told(outcome, state.target, next.target, idle, periodMs);
  const why: Why = { reason, input, from: state.target, terms, delay, bound: boundOf(rule, terms) };
  return { replicas: next.target, sleep: false, state: next, why };
}

type Told = Pick<Why, 'reason' | 'delay'>;

const coldStart: Told = { reason: 'cold-start', delay: undefined };
const asleep: Told = { reason: 'asleep', delay: undefined };
const steady: Told = { reason: 'steady', delay: undefined };

/** What to call an outcome of Ray's rule. @param idle what idle time says about the last replica */
function told(outcome: RayOutcome, from: number, to: number, idle: Told | undefined, periodMs: number): Told {
  switch (outcome.kind) {
    case 'none-running':
      if (to > from) return coldStart;
      return to === 0 ? asleep : { reason: 'starting', delay: idle?.delay };
    case 'steady':
      return idle ?? steady;
    case 'delayed':
    case 'changed': {
      const { direction, counted, needed } = outcome;
      const delay = { elapsedMs: counted * periodMs, neededMs: (needed + 1) * periodMs };
      return { reason: outcome.kind === 'delayed' ? delayed[direction] : direction, delay };
    }
  }
}
