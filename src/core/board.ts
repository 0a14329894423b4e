import type { Slot } from './ids.ts';

/** Columns of a gateway's board: one for each model, each replica and each loaded adapter there can be at a time. */
export const boardSlots = 4096;

const fields = 2;
const inFlight = 0;
const progress = 1;

/**
 * Counters shared by all threads: workers × slots, one writer a cell, so a dead worker's row can simply be zeroed.
 * Cell 0 of the buffer is the epoch: every freed place bumps it, and the waiting rooms of all workers sleep on it.
 */
export class LoadBoard {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly slots: number;
  readonly #cells: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer, workers: number, slots: number) {
    this.buffer = buffer;
    this.workers = workers;
    this.slots = slots;
    this.#cells = new Int32Array(buffer);
  }

  static create(workers: number, slots: number): LoadBoard {
    const cells = 1 + workers * slots * fields;
    return new LoadBoard(new SharedArrayBuffer(cells * Int32Array.BYTES_PER_ELEMENT), workers, slots);
  }

  #at(worker: number, slot: Slot, field: number): number {
    return 1 + (worker * this.slots + slot) * fields + field;
  }

  #sum(slot: Slot, field: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker += 1) sum += Atomics.load(this.#cells, this.#at(worker, slot, field));
    return sum;
  }

  /** Adds to the requests in flight on (or, for a model's waiting slot, waiting at) `slot`. */
  add(worker: number, slot: Slot, delta: 1 | -1): void {
    Atomics.add(this.#cells, this.#at(worker, slot, inFlight), delta);
  }

  /** In-flight requests over all workers; may trail by what is changing during the read. */
  read(slot: Slot): number {
    return this.#sum(slot, inFlight);
  }

  /**
   * As `read`, in no order with what other threads do elsewhere: for picks, which make do with a count that was true a moment ago. A call of
   * `Atomics` is never compiled into its caller, and costs twenty times as much.
   */
  glance(slot: Slot): number {
    let sum = 0;
    for (let at = this.#at(0, slot, inFlight); at < this.#cells.length; at += this.slots * fields) sum += this.#cells[at] as number;
    return sum;
  }

  /** The same of all slots together: a request that waits, or is for an adapter, may count twice. */
  total(): number {
    let sum = 0;
    for (let at = 1 + inFlight; at < this.#cells.length; at += fields) sum += this.#cells[at] as number;
    return sum;
  }

  /** Notes that a replica sent bytes: what the hang watchdog looks for. Wraps at 2³². */
  moved(worker: number, slot: Slot): void {
    Atomics.add(this.#cells, this.#at(worker, slot, progress), 1);
  }

  /** Chunks received from a replica so far, over all workers; only a difference means anything. */
  readProgress(slot: Slot): number {
    return this.#sum(slot, progress) >>> 0;
  }

  /** Wakes the waiting rooms of all workers: a place became free. */
  bumpEpoch(): void {
    Atomics.add(this.#cells, 0, 1);
    Atomics.notify(this.#cells, 0);
  }

  /** Resolves when the epoch has moved on from `seen`; at once if it already has. Keeps no thread alive. */
  async epochAfter(seen: number): Promise<number> {
    const waiting = Atomics.waitAsync(this.#cells, 0, seen);
    if (waiting.async) await waiting.value;
    return this.epoch();
  }

  epoch(): number {
    return Atomics.load(this.#cells, 0);
  }

  /** Forgets what a dead worker counted. Only its owner, the control plane, calls this, after the thread has ended. */
  clearWorker(worker: number): void {
    const first = this.#at(worker, 0 as Slot, 0);
    for (let cell = first; cell < first + this.slots * fields; cell += 1) Atomics.store(this.#cells, cell, 0);
    this.bumpEpoch();
  }
}
