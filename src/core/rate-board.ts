/** Keys with limits that there can be at a time. */
export const rateSeats = 16_384;

/** What is counted by the minute. */
export const rateKinds = ['requests', 'tokens'] as const;
export type RateKind = (typeof rateKinds)[number];

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
 * What keys have used of their limits, shared by all workers; it outlives them and reloads. Rates are token buckets of a minute's size: a
 * whole minute's worth at once, then as it trickles back, kept as the one time at which the bucket will be full (GCRA) and moved by
 * compare-and-exchange. Requests at work are counted by worker and key, one writer a cell, so that a dead worker's can be forgotten.
 */
export class RateBoard {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly #fullAt: BigInt64Array;
  readonly #busy: Int32Array;
  readonly #now: () => bigint;

  /** `now`: nanoseconds of a clock that all threads share. */
  constructor(buffer: SharedArrayBuffer, workers: number, now: () => bigint = () => process.hrtime.bigint()) {
    this.buffer = buffer;
    this.workers = workers;
    this.#fullAt = new BigInt64Array(buffer, 0, rateSeats * rateKinds.length);
    this.#busy = new Int32Array(buffer, this.#fullAt.byteLength, workers * rateSeats);
    this.#now = now;
  }

  static create(workers: number, now?: () => bigint): RateBoard {
    const bytes = rateSeats * (rateKinds.length * BigInt64Array.BYTES_PER_ELEMENT + workers * Int32Array.BYTES_PER_ELEMENT);
    return new RateBoard(new SharedArrayBuffer(bytes), workers, now);
  }

  /** Takes `cost` of `perMinute`, or nothing. A cost above the whole limit is never granted. */
  take(seat: number, kind: RateKind, cost: number, perMinute: number): Take {
    const cell = this.#cell(seat, kind);
    const unit = minuteNs / BigInt(perMinute);
    for (;;) {
      const now = this.#now();
      const before = Atomics.load(this.#fullAt, cell);
      const after = later(before, now) + BigInt(cost) * unit;
      if (after - now > minuteNs) {
        const retryMs = milliseconds(after - now - minuteNs);
        return { kind: 'refused', retryMs, ...rateOf(before, now, unit, perMinute) };
      }
      if (Atomics.compareExchange(this.#fullAt, cell, before, after) === before)
        return { kind: 'taken', ...rateOf(after, now, unit, perMinute) };
    }
  }

  /** Takes more, whatever is left (the next ones wait for it), or gives back what was taken and not used (`cost` below 0). */
  settle(seat: number, kind: RateKind, cost: number, perMinute: number): void {
    const cell = this.#cell(seat, kind);
    const change = BigInt(cost) * (minuteNs / BigInt(perMinute));
    for (;;) {
      const before = Atomics.load(this.#fullAt, cell);
      const after = later(before, this.#now()) + change;
      if (Atomics.compareExchange(this.#fullAt, cell, before, after) === before) return;
    }
  }

  /** Counts one more request at work, unless `limit` are. Never above the limit; of two at the same moment it may refuse both. */
  enter(worker: number, seat: number, limit: number): boolean {
    Atomics.add(this.#busy, worker * rateSeats + seat, 1);
    if (this.#sum(seat) <= limit) return true;
    this.leave(worker, seat);
    return false;
  }

  leave(worker: number, seat: number): void {
    Atomics.sub(this.#busy, worker * rateSeats + seat, 1);
  }

  /** Forgets the requests of a worker that has died. */
  clearWorker(worker: number): void {
    this.#busy.fill(0, worker * rateSeats, (worker + 1) * rateSeats);
  }

  /** A seat for another key: nothing used yet. Requests at work are left to end. */
  clearSeat(seat: number): void {
    for (const kind of rateKinds) Atomics.store(this.#fullAt, this.#cell(seat, kind), 0n);
  }

  #cell(seat: number, kind: RateKind): number {
    return seat * rateKinds.length + rateKinds.indexOf(kind);
  }

  #sum(seat: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker += 1) sum += Atomics.load(this.#busy, worker * rateSeats + seat);
    return sum;
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
