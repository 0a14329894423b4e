import type { GatewayError } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { Refused } from './refused.ts';

/** An adapter that requests wait for, or that somebody wants loaded. */
export interface Wanted {
  /** Workers where requests wait. */
  readonly workers: Set<number>;
  pursued: boolean;
  /** Runs whose engines failed to load it. */
  readonly failed: Set<string>;
  /** Whether it was counted as a wait for want of room; since when, where turns are taken. */
  crowded: boolean;
  crowdedSince: number | undefined;
  /** Whether another one is leaving for it. */
  makingRoom: boolean;
}

/** For what no request waits for. */
export const nobodyWaits = (): Wanted => ({
  workers: new Set(),
  pursued: false,
  failed: new Set(),
  crowded: false,
  crowdedSince: undefined,
  makingRoom: false,
});

/** What adapters requests wait for, in the order in which they were first waited for. */
export class Waits {
  readonly #wanted = new Map<AdapterName, Wanted>();

  /**
   * A worker says whether requests for an adapter wait there. Those for one that failed a moment ago are refused at once.
   * @returns what is to be loaded for them; undefined where none waits, or they were refused
   */
  heard(
    { worker, adapter, waiting }: { readonly worker: number; readonly adapter: AdapterName; readonly waiting: boolean },
    refused: Refused<AdapterName>,
    callers: { refuse(adapter: AdapterName, error: GatewayError): void },
  ): Wanted | undefined {
    if (!waiting) {
      this.#end(worker, adapter);
      return undefined;
    }
    const error = refused.get(adapter);
    if (error === undefined) return this.#begin(worker, adapter);
    callers.refuse(adapter, error);
    return undefined;
  }

  #begin(worker: number, adapter: AdapterName): Wanted {
    const wanted = this.#wanted.get(adapter) ?? nobodyWaits();
    wanted.workers.add(worker);
    this.#wanted.set(adapter, wanted);
    return wanted;
  }

  #end(worker: number, adapter: AdapterName): void {
    const wanted = this.#wanted.get(adapter);
    wanted?.workers.delete(worker);
    if (wanted?.workers.size === 0) this.#wanted.delete(adapter);
  }

  forgetWorker(worker: number): void {
    for (const adapter of Array.from(this.#wanted.keys())) this.#end(worker, adapter);
  }

  /** All of them have been answered. */
  over(adapter: AdapterName): void {
    this.#wanted.delete(adapter);
  }

  all(): readonly (readonly [AdapterName, Wanted])[] {
    return [...this.#wanted];
  }
}
