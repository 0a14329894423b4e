const minuteNs = 60_000_000_000n;

/** A bucket after a look at it. */
export interface Rate {
  /** Whole units that may be taken at once now. */
  readonly remaining: number;
  /** Milliseconds until it is full again. */
  readonly resetMs: number;
}

export type Take = (Rate & { readonly kind: 'taken' }) | (Rate & { readonly kind: 'refused'; readonly retryMs: number });

/**
 * Token buckets of a minute's size in shared memory, for any number of threads: a whole minute's worth at once, then as it trickles back.
 * Each is one number, the time at which it will be full (GCRA), moved by compare-and-exchange.
 */
export class TokenBuckets {
  readonly #fullAt: BigInt64Array<SharedArrayBuffer>;
  readonly #now: () => bigint;

  /** `now`: nanoseconds of a clock that all threads share. */
  constructor(fullAt: BigInt64Array<SharedArrayBuffer>, now: () => bigint) {
    this.#fullAt = fullAt;
    this.#now = now;
  }

  /** Takes `cost` of `perMinute`, or nothing. A cost above the whole limit is never granted. */
  take(bucket: number, cost: number, perMinute: number): Take {
    const unit = minuteNs / BigInt(perMinute);
    for (;;) {
      const now = this.#now();
      const before = Atomics.load(this.#fullAt, bucket);
      const after = later(before, now) + BigInt(cost) * unit;
      if (after - now > minuteNs) {
        const retryMs = milliseconds(after - now - minuteNs);
        return { kind: 'refused', retryMs, ...rateOf(before, now, unit, perMinute) };
      }
      if (Atomics.compareExchange(this.#fullAt, bucket, before, after) === before)
        return { kind: 'taken', ...rateOf(after, now, unit, perMinute) };
    }
  }

  /** Takes more, whatever is left (the next ones wait for it), or gives back what was taken and not used (`cost` below 0). */
  settle(bucket: number, cost: number, perMinute: number): void {
    const change = BigInt(cost) * (minuteNs / BigInt(perMinute));
    for (;;) {
      const before = Atomics.load(this.#fullAt, bucket);
      const after = later(before, this.#now()) + change;
      if (Atomics.compareExchange(this.#fullAt, bucket, before, after) === before) return;
    }
  }

  /** Milliseconds until one may be taken; 0: now. Takes nothing. */
  untilOneMs(bucket: number, perMinute: number): number {
    const unit = minuteNs / BigInt(perMinute);
    const now = this.#now();
    return milliseconds(later(later(Atomics.load(this.#fullAt, bucket), now) + unit - now - minuteNs, 0n));
  }

  clear(bucket: number): void {
    Atomics.store(this.#fullAt, bucket, 0n);
  }
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function milliseconds(ns: bigint): number {
  return Math.ceil(Number(ns) / 1e6);
}

function rateOf(fullAt: bigint, now: bigint, unit: bigint, perMinute: number): Rate {
  const used = later(fullAt - now, 0n);
  const left = later(minuteNs - used, 0n);
  return { remaining: Math.min(perMinute, Number(left / unit)), resetMs: milliseconds(used) };
}
