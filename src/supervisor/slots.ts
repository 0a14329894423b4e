import { slot as toSlot } from '../core/ids.ts';
import type { Slot } from '../core/ids.ts';

/**
 * Who owns which column of the load board. A slot that is given back is not free yet: requests may still be counted on it, or a
 * worker may still route by a table that names it. `reclaim()` frees those for which both are over.
 */
export class Slots {
  /** Columns of the board. */
  readonly count: number;
  readonly #free: Slot[];
  readonly #retired = new Set<Slot>();

  /** @param count columns of the board; slots 0 … count − 1. */
  constructor(count: number) {
    this.count = count;
    // The lowest is taken first, so that tests and operators see stable numbers.
    this.#free = Array.from({ length: count }, (_, at) => toSlot(count - 1 - at));
  }

  /** Undefined when all are taken or not quiet yet. */
  take(): Slot | undefined {
    return this.#free.pop();
  }

  /** Takes back what was taken and never used. */
  putBack(slot: Slot): void {
    this.#free.push(slot);
  }

  /** Takes back what was used: it is free once it is quiet. */
  retire(slot: Slot): void {
    this.#retired.add(slot);
  }

  /** Frees the retired slots that are quiet; returns whether there were any. */
  reclaim(quiet: (slot: Slot) => boolean): boolean {
    const before = this.#free.length;
    for (const slot of this.#retired) {
      if (!quiet(slot)) continue;
      this.#retired.delete(slot);
      this.#free.push(slot);
    }
    return this.#free.length > before;
  }

  get retiring(): number {
    return this.#retired.size;
  }
}
