/** How starts are paced. Times in milliseconds. */
export interface RestartLimits {
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** A replica that stayed ready this long starts over with a clean record. */
  readonly healthyAfterMs: number;
  /** More than `startsPerWindow` starts within `windowMs` are a crash loop. */
  readonly startsPerWindow: number;
  readonly windowMs: number;
}

export const defaultRestartLimits: RestartLimits = {
  firstDelayMs: 1_000,
  longestDelayMs: 300_000,
  healthyAfterMs: 600_000,
  startsPerWindow: 5,
  windowMs: 600_000,
};

/** What a replica's past tells about when it may start again. */
export interface StartRecord {
  /** Failures in a row; a run that stayed healthy long enough sets it back. */
  readonly failures: number;
  /** Clock times of the starts that still count, oldest first. */
  readonly starts: readonly number[];
  /** Stays true until a healthy run: at the longest delay a loop would otherwise drop out of its own window. */
  readonly looping: boolean;
}

export const cleanRecord: StartRecord = { failures: 0, starts: [], looping: false };

/** The record with a start at `now` added and those out of the window forgotten. */
export function recordStart(record: StartRecord, now: number, limits: RestartLimits): StartRecord {
  const starts = [...record.starts.filter((time) => now - time < limits.windowMs), now];
  return { ...record, starts };
}

/**
 * The record after a failure at `now`, and the delay before the next start. The first failure of a replica that had been ready costs
 * no delay: requests may be waiting, and nothing says yet that it will fail again.
 * @param readyForMs how long the failed run was ready; undefined if it never was.
 * @param jitter 0 ≤ jitter < 1; spreads the delay over ±25 %, so that replicas that failed together do not start together.
 */
export function recordFailure(
  before: StartRecord,
  now: number,
  readyForMs: number | undefined,
  jitter: number,
  limits: RestartLimits,
): { readonly record: StartRecord; readonly delayMs: number } {
  const record = readyForMs !== undefined && readyForMs >= limits.healthyAfterMs ? cleanRecord : before;
  const recent = record.starts.filter((time) => now - time < limits.windowMs).length;
  const looping = record.looping || recent > limits.startsPerWindow;
  const next: StartRecord = { ...record, failures: record.failures + 1, looping };
  if (readyForMs !== undefined && record.failures === 0) return { record: next, delayMs: 0 };
  const base = looping ? limits.longestDelayMs : limits.firstDelayMs * 2 ** Math.min(record.failures, 30);
  return { record: next, delayMs: Math.min(limits.longestDelayMs, base) * (0.75 + jitter / 2) };
}
