import type { AdapterName } from '../../core/ids.ts';

/** An adapter that requests wait for, or that somebody wants loaded. */
export interface Wanted {
  /** Workers where requests wait. */
  readonly workers: Set<number>;
  pursued: boolean;
  /** Runs whose engines failed to load it. */
  readonly failed: Set<string>;
  /** Whether it was counted as a wait for want of room. */
  crowded: boolean;
}

/** For what no request waits for. @param crowded whether a want of room is to be counted no more */
export const nobodyWaits = (crowded = false): Wanted => ({ workers: new Set(), pursued: false, failed: new Set(), crowded });

/** What adapters requests wait for, in the order in which they were first waited for. */
export class Waits {
  readonly #wanted = new Map<AdapterName, Wanted>();

  /** Requests of a worker wait. */
  begin(worker: number, adapter: AdapterName): Wanted {
    const wanted = this.#wanted.get(adapter) ?? nobodyWaits();
    wanted.workers.add(worker);
    this.#wanted.set(adapter, wanted);
    return wanted;
  }

  /** None of a worker does any more. */
  end(worker: number, adapter: AdapterName): void {
    const wanted = this.#wanted.get(adapter);
    wanted?.workers.delete(worker);
    if (wanted?.workers.size === 0) this.#wanted.delete(adapter);
  }

  forgetWorker(worker: number): void {
    for (const adapter of Array.from(this.#wanted.keys())) this.end(worker, adapter);
  }

  /** All of them have been answered. */
  over(adapter: AdapterName): void {
    this.#wanted.delete(adapter);
  }

  all(): readonly (readonly [AdapterName, Wanted])[] {
    return [...this.#wanted];
  }
}
