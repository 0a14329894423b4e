import type { Hang } from './failure.ts';

/** What one look at a ready replica showed. Times are clock times in milliseconds. */
export interface Sight {
  readonly at: number;
  /** `no`: it answered, but not with 200, or nothing listens; `silent`: no answer in time. */
  readonly probe: 'ok' | 'no' | 'silent';
  /** As the load board shows them. */
  readonly inFlight: number;
  readonly progress: number;
  readonly work: Work;
}

/** The engine's own counters. They are asked only when something is in doubt. */
export type Work =
  | { readonly kind: 'not-asked' }
  /** The page did not come, or not in time. */
  | { readonly kind: 'unread' }
  /** `done` differs from one time to another if the engine worked in between; undefined: the page does not tell. */
  | { readonly kind: 'read'; readonly done: number | undefined };

export interface HealthLimits {
  /** Missed probes in a row that take a replica out of rotation, and answered ones that bring it back. */
  readonly missesAllowed: number;
  readonly oksNeeded: number;
  /** Without a sign of life from a replica that has requests: proved by its counters, or by its answering nothing at all. */
  readonly hungAfterMs: number;
  /** The same where nothing is proved: it answers, but its counters tell nothing. */
  readonly quietAfterMs: number;
  /** A look later than this after the one before shows that it was the gateway that did not run: nothing is judged by it. */
  readonly lateMs: number;
  /** Counters that stand still prove a hang: they move in a prefill too. */
  readonly countersProve: boolean;
}

/** What is remembered from one look to the next. */
export interface Health {
  readonly misses: number;
  readonly oks: number;
  /** In rotation. */
  readonly serving: boolean;
  /** How long requests have been on it while nothing moved: in all, and while that was proved. */
  readonly quietMs: number;
  readonly stuckMs: number;
  readonly last: Pick<Sight, 'at' | 'inFlight' | 'progress'> | undefined;
  /** The engine's own count when it was last read, perhaps long ago. */
  readonly done: number | undefined;
  /** It was read at the last look. */
  readonly fresh: boolean;
}

export type Verdict =
  /** `recovered`: the first answered probe after a missed one. */
  { readonly kind: 'serve' | 'withhold'; readonly recovered: boolean } | { readonly kind: 'unresponsive' } | Hang;

export const newHealth: Health = {
  misses: 0,
  oks: 0,
  serving: true,
  quietMs: 0,
  stuckMs: 0,
  last: undefined,
  done: undefined,
  fresh: false,
};

/** What a look proves about an engine that has requests and sends nothing. */
function proofOf(before: Health, { work, probe }: Sight, limits: HealthLimits): 'counters' | 'silence' | undefined {
  if (work.kind === 'read') return limits.countersProve && work.done !== undefined && work.done === before.done ? 'counters' : undefined;
  return probe === 'ok' ? undefined : 'silence';
}

function moved(before: Health, { progress, work }: Sight): boolean {
  if (before.last !== undefined && before.last.progress !== progress) return true;
  return work.kind === 'read' && work.done !== undefined && before.done !== undefined && work.done !== before.done;
}

/** The count of probes; one that was missed while the engine moved says only that it is busy. */
function countProbe(before: Health, { probe }: Sight, excused: boolean, limits: HealthLimits): Pick<Health, 'misses' | 'oks' | 'serving'> {
  const misses = probe === 'ok' || excused ? 0 : before.misses + 1;
  const oks = probe === 'ok' ? before.oks + 1 : 0;
  return { misses, oks, serving: before.serving ? misses < limits.missesAllowed : oks >= limits.oksNeeded };
}

/**
 * Hung or busy? Only what moves proves life while requests are on an engine: bytes of replies, or its own counters. An answered probe does
 * not (a frozen core hides behind a healthy front), and a missed one proves nothing (a long prefill makes it slow).
 */
export function judge(before: Health, sight: Sight, limits: HealthLimits): { readonly health: Health; readonly verdict: Verdict } {
  const { at, inFlight, progress, work, probe } = sight;
  const done = work.kind === 'read' ? work.done : before.done;
  const fresh = work.kind === 'read' && work.done !== undefined;
  const last = { at, inFlight, progress };
  const { serving } = before;
  if (before.last !== undefined && at - before.last.at > limits.lateMs)
    return { health: { ...newHealth, serving, last, done, fresh }, verdict: { kind: serving ? 'serve' : 'withhold', recovered: false } };
  const alive = moved(before, sight);
  // That it moved since an old reading does not say that it did after the last look.
  const excused = alive && (before.fresh || before.last?.progress !== progress);
  const probes = countProbe(before, sight, excused, limits);
  const proof = proofOf(before, sight, limits);
  const gapMs = before.last !== undefined && before.last.inFlight > 0 && inFlight > 0 ? at - before.last.at : 0;
  // What was proved stays so while nothing is asked of it: clients that give up must not save an engine that hangs.
  const stuckMs = alive ? 0 : before.stuckMs + (proof === undefined ? 0 : gapMs);
  const quietMs = alive || inFlight === 0 ? 0 : before.quietMs + gapMs;
  const health: Health = { ...probes, stuckMs, quietMs, last, done, fresh };
  if (proof !== undefined && stuckMs >= limits.hungAfterMs && gapMs > 0)
    return { health, verdict: { kind: 'hung', inFlight, forMs: stuckMs, proof } };
  if (quietMs >= limits.quietAfterMs) return { health, verdict: { kind: 'hung', inFlight, forMs: quietMs, proof: 'patience' } };
  const givenUp = inFlight === 0 && probes.misses >= limits.missesAllowed && (probe === 'no' || work.kind === 'unread');
  if (givenUp) return { health, verdict: { kind: 'unresponsive' } };
  const recovered = probe === 'ok' && before.misses > 0;
  return { health, verdict: { kind: probes.serving ? 'serve' : 'withhold', recovered } };
}
