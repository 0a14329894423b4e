/**
 * What an attempt showed of its replica. `failed`: connection broken, 5xx, silence beyond the limits. `busy`: 429 or 503, it works and is
 * full. `unknown`: the client left, or was wrong (other 4xx); that says nothing.
 */
export type Verdict = 'ok' | 'failed' | 'busy' | 'unknown';

/** One worker's trust in one replica. Times are milliseconds of its clock. */
export type Breaker =
  | { readonly kind: 'closed'; /** In a row. */ readonly failures: number; readonly busyUntil: number }
  /** `trips`: how often in a row it opened. */
  | { readonly kind: 'open'; readonly until: number; readonly trips: number }
  /** One request at a time tries it. */
  | { readonly kind: 'half-open'; readonly probing: boolean; readonly successes: number; readonly trips: number };

/** Failures in a row that open it: one crash or one bad request is no pattern. */
const failuresToOpen = 5;
/** Probes in a row that close it again. */
const successesToClose = 3;
const firstOpenMs = 5_000;
const longestOpenMs = 60_000;
/** How long one that said it is busy is passed over while others are not. */
const busyMs = 1_000;

export const trusted: Breaker = { kind: 'closed', failures: 0, busyUntil: Number.NEGATIVE_INFINITY };

function open(now: number, trips: number): Breaker {
  return { kind: 'open', until: now + Math.min(longestOpenMs, firstOpenMs * 2 ** (trips - 1)), trips };
}

/** Whether a request may go to the replica now. */
export function admits(breaker: Breaker, now: number): boolean {
  switch (breaker.kind) {
    case 'closed':
      return now >= breaker.busyUntil;
    case 'open':
      return now >= breaker.until;
    case 'half-open':
      return !breaker.probing;
  }
}

/** After a request was given to it. */
export function begun(breaker: Breaker, now: number): Breaker {
  switch (breaker.kind) {
    case 'closed':
      return breaker;
    case 'open':
      // Before its time it gets requests only where there is no other; they are no probes.
      return now < breaker.until ? breaker : { kind: 'half-open', probing: true, successes: 0, trips: breaker.trips };
    case 'half-open':
      return breaker.probing ? breaker : { ...breaker, probing: true };
  }
}

/** After a request to it has ended. */
export function concluded(breaker: Breaker, verdict: Verdict, now: number): Breaker {
  switch (breaker.kind) {
    case 'closed':
      return whileClosed(breaker, verdict, now);
    case 'open':
      // Requests that were under way when it opened: a success is news, another failure is not.
      return verdict === 'ok' ? { kind: 'half-open', probing: false, successes: 1, trips: breaker.trips } : breaker;
    case 'half-open': {
      if (verdict === 'failed') return open(now, breaker.trips + 1);
      if (verdict !== 'ok') return { ...breaker, probing: false };
      const successes = breaker.successes + 1;
      return successes >= successesToClose ? trusted : { ...breaker, probing: false, successes };
    }
  }
}

function whileClosed(breaker: Breaker & { kind: 'closed' }, verdict: Verdict, now: number): Breaker {
  switch (verdict) {
    case 'ok':
      return breaker.failures === 0 ? breaker : { ...breaker, failures: 0 };
    case 'failed':
      return breaker.failures + 1 >= failuresToOpen ? open(now, 1) : { ...breaker, failures: breaker.failures + 1 };
    case 'busy':
      return { ...breaker, busyUntil: now + busyMs };
    case 'unknown':
      return breaker;
  }
}
