/** What Ray's default policy is set by; the names are Ray's, in milliseconds where Ray has seconds. */
export interface RayRule {
  readonly min: number;
  readonly max: number;
  /** Requests (running and queued) for each running replica that neither add nor remove one. */
  readonly targetOngoing: number;
  readonly upscalingFactor: number;
  readonly downscalingFactor: number;
  readonly upscaleDelayMs: number;
  readonly downscaleDelayMs: number;
  readonly downscaleToZeroDelayMs: number;
  /** Between two decisions: delays are counted in them. */
  readonly periodMs: number;
}

/** What one decision hands to the next. */
export interface RayState {
  /** Replicas wanted. */
  readonly target: number;
  /** Decisions in a row that wanted more (above 0) or fewer (below 0) than `target`. */
  readonly counter: number;
}

export interface RayInput {
  /** Running and queued, aggregated over the look-back period. */
  readonly ongoing: number;
  /** Replicas that serve. */
  readonly running: number;
}

/** Every term of the formula, in its order. */
export interface RayTerms {
  /** `ongoing / (targetOngoing · running)`: 2 means twice too much work for each replica. */
  readonly errorRatio: number;
  readonly factor: number;
  /** `1 + (errorRatio − 1) · factor` */
  readonly smoothedRatio: number;
  /** `ceil(running · smoothedRatio)`, less one where the factor alone holds it. */
  readonly unbounded: number;
  /** Within `min` and `max`. */
  readonly desired: number;
}

export type RayOutcome =
  /** Nothing runs: no delay counts, and the formula has no meaning. */
  | { readonly kind: 'none-running' }
  | { readonly kind: 'steady'; readonly terms: RayTerms }
  /** `counted` decisions in a row have wanted it, of more than `needed`. */
  | {
      readonly kind: 'delayed' | 'changed';
      readonly direction: 'up' | 'down' | 'to-zero';
      readonly terms: RayTerms;
      readonly counted: number;
      readonly needed: number;
    };

export interface RayDecision {
  readonly state: RayState;
  readonly outcome: RayOutcome;
}

export function bounded(rule: Pick<RayRule, 'min' | 'max'>, replicas: number): number {
  return Math.max(rule.min, Math.min(rule.max, replicas));
}

function termsOf(rule: RayRule, { ongoing, running }: RayInput): RayTerms {
  const errorRatio = ongoing / (rule.targetOngoing * running);
  const factor = errorRatio >= 1 ? rule.upscalingFactor : rule.downscalingFactor;
  const smoothedRatio = 1 + (errorRatio - 1) * factor;
  const smoothed = Math.ceil(running * smoothedRatio);
  const stuck = Math.ceil(running * errorRatio) < running && smoothed === running;
  const unbounded = stuck ? smoothed - 1 : smoothed;
  return { errorRatio, factor, smoothedRatio, unbounded, desired: bounded(rule, unbounded) };
}

/** Ray divides seconds: the quotient of 0.3 and 0.1 is a little under 3, and two periods are enough. */
function periods(delayMs: number, periodMs: number): number {
  return Math.trunc(delayMs / 1000 / (periodMs / 1000));
}

function countUp(rule: RayRule, state: RayState, terms: RayTerms): RayDecision {
  const counted = Math.max(0, state.counter) + 1;
  const needed = periods(rule.upscaleDelayMs, rule.periodMs);
  const outcome = { direction: 'up', terms, counted, needed } as const;
  if (counted <= needed) return { state: { ...state, counter: counted }, outcome: { kind: 'delayed', ...outcome } };
  return { state: { target: terms.desired, counter: 0 }, outcome: { kind: 'changed', ...outcome } };
}

function countDown(rule: RayRule, state: RayState, terms: RayTerms): RayDecision {
  const counted = Math.max(0, -state.counter) + 1;
  // Only the last replica may lead to none; from more than one it is always one first.
  const last = state.target === 1;
  const needed = periods(last ? rule.downscaleToZeroDelayMs : rule.downscaleDelayMs, rule.periodMs);
  const outcome = { direction: last ? 'to-zero' : 'down', terms, counted, needed } as const;
  if (counted <= needed) return { state: { ...state, counter: -counted }, outcome: { kind: 'delayed', ...outcome } };
  const target = last ? terms.desired : Math.max(1, terms.desired);
  return { state: { target, counter: 0 }, outcome: { kind: 'changed', ...outcome } };
}

/**
 * One decision of Ray Serve's default autoscaling policy (`replica_queue_length_autoscaling_policy`), bounds applied, as of Ray 2.53.
 * `test/autoscale/record-ray.py` records vectors from Ray itself.
 */
export function rayDecision(rule: RayRule, state: RayState, input: RayInput): RayDecision {
  if (input.running === 0) {
    const wanted = input.ongoing > 0 ? Math.max(Math.ceil(rule.upscalingFactor), state.target) : state.target;
    return { state: { target: bounded(rule, wanted), counter: state.counter }, outcome: { kind: 'none-running' } };
  }
  const terms = termsOf(rule, input);
  const decision =
    terms.desired > state.target
      ? countUp(rule, state, terms)
      : terms.desired < state.target
        ? countDown(rule, state, terms)
        : { state: state.counter === 0 ? state : { target: state.target, counter: 0 }, outcome: { kind: 'steady', terms } as const };
  const target = bounded(rule, decision.state.target);
  if (target === decision.state.target) return decision;
  return { state: { target, counter: decision.state.counter }, outcome: decision.outcome };
}
