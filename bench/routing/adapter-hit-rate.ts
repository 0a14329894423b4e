import { type AdapterName, adapterName } from '../../src/core/ids.ts';
import { type Holder, placeAdapter } from '../../src/supervisor/adapters/placement.ts';
import { zipf, type ZipfTrace } from '../adapters/zipf.ts';

export const adapterPolicies = ['round-robin', 'affinity'] as const;
export type AdapterPolicy = (typeof adapterPolicies)[number];

export interface AdapterTrace extends ZipfTrace {
  readonly replicas: number;
  /** Adapters a replica has room for. */
  readonly capacity: number;
}

/** Requests of late by which an adapter's use is judged. */
const recent = 2000;

/** How much each adapter was used of late. */
class Heat {
  readonly #uses = new Map<AdapterName, number>();
  readonly #last: AdapterName[] = [];

  used(adapter: AdapterName): void {
    this.#uses.set(adapter, this.of(adapter) + 1);
    if (this.#last.push(adapter) <= recent) return;
    const gone = this.#last.shift();
    if (gone !== undefined) this.#uses.set(gone, this.of(gone) - 1);
  }

  of(adapter: AdapterName): number {
    return this.#uses.get(adapter) ?? 0;
  }
}

/** The share of requests, one after another, that meet their adapter loaded; where it is put is the gateway's own `placeAdapter()`. */
export function adapterHitRate(policy: AdapterPolicy, trace: AdapterTrace): number {
  const { replicas, capacity } = trace;
  const loaded = Array.from({ length: replicas }, () => new Set<AdapterName>());
  const heat = new Heat();
  let hits = 0;
  for (const [turn, number] of zipf(trace).entries()) {
    const adapter = adapterName(`adapter-${number}`);
    heat.used(adapter);
    const index = policy === 'round-robin' ? turn % replicas : loaded.findIndex((adapters) => adapters.has(adapter));
    const there = loaded[index];
    if (there?.has(adapter) === true) {
      hits += 1;
      // In the order of use, for whoever is least recently used.
      there.delete(adapter);
      there.add(adapter);
    } else if (there !== undefined) loadInTurn(there, adapter, capacity);
    else loadWhereItBelongs(loaded, adapter, capacity, heat);
  }
  return hits / trace.requests;
}

function loadInTurn(adapters: Set<AdapterName>, adapter: AdapterName, capacity: number): void {
  const [oldest] = adapters;
  if (adapters.size >= capacity && oldest !== undefined) adapters.delete(oldest);
  adapters.add(adapter);
}

function loadWhereItBelongs(loaded: readonly Set<AdapterName>[], adapter: AdapterName, capacity: number, heat: Heat): void {
  const holders = loaded.map((adapters, index): Holder => ({
    index,
    capacity,
    heat: [...adapters].reduce((sum, each) => sum + heat.of(each), 0),
    adapters: new Map([...adapters].map((each) => [each, { state: 'loaded', inFlight: 0, since: 0 }])),
  }));
  const placement = placeAdapter(adapter, holders, (each) => heat.of(each));
  if (placement.kind !== 'load' && placement.kind !== 'evict')
    throw new Error(`no place for an adapter where nobody works: ${placement.kind}`);
  const adapters = loaded[placement.index];
  if (placement.kind === 'evict') adapters?.delete(placement.victim);
  adapters?.add(adapter);
}
