import { type Take, TokenBuckets } from './token-buckets.ts';

/** Keys with limits that there can be at a time. */
export const rateSeats = 16_384;

/** What is counted by the minute. */
const rateKinds = ['requests', 'tokens'] as const;
export type RateKind = (typeof rateKinds)[number];

/**
 * What keys have used of their limits, shared by all workers; it outlives them and reloads. Requests at work are counted by worker and
 * key, one writer a cell, so that a dead worker's can be forgotten.
 */
export class RateBoard {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly #buckets: TokenBuckets;
  readonly #busy: Int32Array;

  /** `now`: nanoseconds of a clock that all threads share. */
  constructor(buffer: SharedArrayBuffer, workers: number, now: () => bigint = () => process.hrtime.bigint()) {
    this.buffer = buffer;
    this.workers = workers;
    const fullAt = new BigInt64Array(buffer, 0, rateSeats * rateKinds.length);
    this.#buckets = new TokenBuckets(fullAt, now);
    this.#busy = new Int32Array(buffer, fullAt.byteLength, workers * rateSeats);
  }

  static create(workers: number, now?: () => bigint): RateBoard {
    const bytes = rateSeats * (rateKinds.length * BigInt64Array.BYTES_PER_ELEMENT + workers * Int32Array.BYTES_PER_ELEMENT);
    return new RateBoard(new SharedArrayBuffer(bytes), workers, now);
  }

  /** Takes `cost` of `perMinute`, or nothing. A cost above the whole limit is never granted. */
  take(seat: number, kind: RateKind, cost: number, perMinute: number): Take {
    return this.#buckets.take(bucketOf(seat, kind), cost, perMinute);
  }

  /** Takes more, whatever is left (the next ones wait for it), or gives back what was taken and not used (`cost` below 0). */
  settle(seat: number, kind: RateKind, cost: number, perMinute: number): void {
    this.#buckets.settle(bucketOf(seat, kind), cost, perMinute);
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
    for (const kind of rateKinds) this.#buckets.clear(bucketOf(seat, kind));
  }

  #sum(seat: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker += 1) sum += Atomics.load(this.#busy, worker * rateSeats + seat);
    return sum;
  }
}

function bucketOf(seat: number, kind: RateKind): number {
  return seat * rateKinds.length + rateKinds.indexOf(kind);
}
