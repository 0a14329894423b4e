import type { AdapterName, Slot } from '../../core/ids.ts';
import type { LoadedAdapter } from '../../core/table.ts';
import type { FetchedAdapter } from './files.ts';
import type { Residence } from './placement.ts';

/** An adapter that a replica's engine has, or is about to have. */
export interface Resident {
  readonly adapter: AdapterName;
  /** Kept for it. */
  readonly files: FetchedAdapter;
  /** Counts its requests. */
  readonly slot: Slot;
  /** `leaving`: requests are sent to it no more; `unloading`: its last one has ended, and the engine is told. */
  state: 'loading' | 'loaded' | 'leaving' | 'unloading';
  /** Picks counted so far on its slot, by whoever had that before too. */
  usesSeen: number;
  /** When it was loaded, or that began. */
  since: number;
  /** Picks since it is here. */
  uses: number;
  /** Resolves when it is here no more. */
  readonly left: PromiseWithResolvers<void>;
}

/** Of which nothing has been used yet. */
export function newResident(of: Pick<Resident, 'adapter' | 'files' | 'slot' | 'state' | 'since' | 'usesSeen'>): Resident {
  return { ...of, uses: 0, left: Promise.withResolvers() };
}

/** What one replica's engine has loaded. Two revisions of an adapter may stand beside each other while the older one leaves. */
export class Residents {
  readonly #capacity: number;
  readonly #byHandle = new Map<string, Resident>();

  /** @param capacity adapters the engine may have at a time. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(resident: Resident): void {
    this.#byHandle.set(resident.files.handle, resident);
  }

  delete({ files, left }: Resident): void {
    this.#byHandle.delete(files.handle);
    left.resolve();
  }

  all(): Iterable<Resident> {
    return this.#byHandle.values();
  }

  /** The present revision of an adapter: loaded, or else being loaded, or else leaving. */
  of(adapter: AdapterName): Resident | undefined {
    const states = { loaded: 0, loading: 1, leaving: 2, unloading: 3 } as const;
    return [...this.#byHandle.values()]
      .filter((resident) => resident.adapter === adapter)
      .sort((a, b) => states[a.state] - states[b.state])[0];
  }

  get size(): number {
    return this.#byHandle.size;
  }

  /** As placement sees it: a former revision that still leaves takes room, but is not the adapter. */
  residences(inFlight: (slot: Slot) => number): { readonly capacity: number; readonly adapters: ReadonlyMap<AdapterName, Residence> } {
    const adapters = new Map<AdapterName, Residence>();
    let former = 0;
    for (const resident of this.#byHandle.values()) {
      if (this.of(resident.adapter) === resident) {
        const state = resident.state === 'unloading' ? 'leaving' : resident.state;
        adapters.set(resident.adapter, { state, inFlight: inFlight(resident.slot), since: resident.since });
      } else former += 1;
    }
    return { capacity: this.#capacity - former, adapters };
  }

  /** What requests may be sent to; the same map until it changes. */
  loaded(): ReadonlyMap<AdapterName, LoadedAdapter> {
    const serving = [...this.#byHandle.values()].filter(({ state }) => state === 'loaded');
    return new Map(serving.map(({ adapter, files, slot }) => [adapter, { handle: files.handle, slot }]));
  }
}
