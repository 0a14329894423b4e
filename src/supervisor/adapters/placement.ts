import type { AdapterName } from '../../core/ids.ts';
import { hashText, weightOf } from '../../core/rendezvous.ts';

/** An adapter on a replica. Only a loaded one gets requests; a leaving one gets none and goes once those it has have ended. */
export interface Residence {
  readonly state: 'loading' | 'loaded' | 'leaving';
  /** Requests on the replica that use it. */
  readonly inFlight: number;
  /** When it was loaded; while it is being loaded, when that began. */
  readonly since: number;
}

/** A replica, as far as adapters need it. */
export interface Holder {
  /** Its place among the replicas of the model. */
  readonly index: number;
  /** Adapters it can have at a time. */
  readonly capacity: number;
  /** How much its adapters are used of late. */
  readonly heat: number;
  readonly adapters: ReadonlyMap<AdapterName, Residence>;
}

export type Placement =
  | { readonly kind: 'load'; readonly index: number }
  /** The replica has no room before `victim` has left it. */
  | { readonly kind: 'evict'; readonly index: number; readonly victim: AdapterName }
  /** Somewhere room is being made already, or it is on its way out where it was. */
  | { readonly kind: 'wait' }
  /** Every adapter on every replica has requests, or is being loaded. */
  | { readonly kind: 'full' };

/** What could go from a replica. */
interface Victim {
  readonly index: number;
  readonly victim: AdapterName;
  /** Use of late. */
  readonly worth: number;
}

/** Uses of late by which what goes may be worth more than what is worth least, where that is on a replica that is preferred more. */
const worthSlack = 3;
/** How far above the mean heat a replica may be that is given another adapter, before the adapter goes to its next choice. */
const heatFactor = 1.15;

/** In the order in which an adapter prefers replicas: the same whoever asks, over restarts too. */
function byPreference(adapter: AdapterName, holders: readonly Holder[]): readonly Holder[] {
  const key = hashText(adapter);
  return [...holders].sort((a, b) => weightOf(key, b.index) - weightOf(key, a.index));
}

/** Those that are not hotter than the others, and those that are, each in the order of preference: rendezvous hashing bounded by load. */
function byChoice(adapter: AdapterName, holders: readonly Holder[]): readonly [readonly Holder[], readonly Holder[]] {
  const mean = holders.reduce((sum, { heat }) => sum + heat, 0) / holders.length;
  const preferred = byPreference(adapter, holders);
  const cool = (holder: Holder): boolean => holder.heat <= heatFactor * mean;
  return [preferred.filter(cool), preferred.filter((holder) => !cool(holder))];
}

/** Whether an adapter is loaded, or about to be. */
export function stays(residence: { readonly state: string } | undefined): boolean {
  return residence?.state === 'loading' || residence?.state === 'loaded';
}

/** Replicas that have an adapter, or are about to. */
export function copiesOf(adapter: AdapterName, holders: readonly Pick<Holder, 'adapters'>[]): number {
  return holders.filter((holder) => stays(holder.adapters.get(adapter))).length;
}

/**
 * What of a replica's adapters goes first: the least used of late, where each copy of one has its part of the use. Never one that has
 * requests or is being loaded; undefined where there is no other.
 */
function victimOf(holder: Holder, holders: readonly Holder[], heatOf: (adapter: AdapterName) => number): Victim | undefined {
  let victim: AdapterName | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [adapter, { state, inFlight }] of holder.adapters) {
    if (state !== 'loaded' || inFlight > 0) continue;
    const worth = heatOf(adapter) / copiesOf(adapter, holders);
    if (worth >= least) continue;
    victim = adapter;
    least = worth;
  }
  return victim === undefined ? undefined : { index: holder.index, victim, worth: least };
}

/**
 * Of all that could go, one that is worth about as little as any, on the replica that is preferred most: so that what is seldom asked for
 * takes turns with what is seldom asked for, wherever that is.
 */
function leastOf(holders: readonly Holder[], all: readonly Holder[], heatOf: (adapter: AdapterName) => number): Victim | undefined {
  const victims = holders.flatMap((holder) => victimOf(holder, all, heatOf) ?? []);
  const least = Math.min(...victims.map(({ worth }) => worth));
  return victims.find(({ worth }) => worth <= least + worthSlack);
}

/**
 * Where one more copy of an adapter goes. Pure.
 * @param holders the replicas that serve.
 * @param heatOf how much an adapter was used of late.
 * @param eligible those of them that it may go to; of these, those that have the adapter are not considered.
 */
export function placeAdapter(
  adapter: AdapterName,
  holders: readonly Holder[],
  heatOf: (adapter: AdapterName) => number,
  eligible = holders,
): Placement {
  const lacking = eligible.filter((holder) => !holder.adapters.has(adapter));
  const [cool, hot] = byChoice(adapter, lacking);
  const roomy = [...cool, ...hot].find((holder) => holder.adapters.size < holder.capacity);
  if (roomy !== undefined) return { kind: 'load', index: roomy.index };
  const victim = leastOf(cool, holders, heatOf) ?? leastOf(hot, holders, heatOf);
  if (victim !== undefined) return { kind: 'evict', index: victim.index, victim: victim.victim };
  const leaving = (holder: Holder): boolean => [...holder.adapters.values()].some(({ state }) => state === 'leaving');
  const making = lacking.some(leaving) || holders.some((holder) => holder.adapters.get(adapter)?.state === 'leaving');
  return { kind: making ? 'wait' : 'full' };
}

/**
 * Copies that an adapter's load needs, so that no replica gets more than an equal part of all load from it.
 * @param share of the heat of all the model's adapters, 0 to 1.
 */
export function copiesWanted(share: number, replicas: number): number {
  return Math.min(replicas, Math.max(1, Math.ceil(share * replicas)));
}

/** Whether a replica is the first choice of an adapter: it is to have it before it gets requests. */
export function prefers(adapter: AdapterName, index: number, indices: readonly number[]): boolean {
  const key = hashText(adapter);
  const weight = weightOf(key, index);
  return indices.every((other) => other === index || weightOf(key, other) <= weight);
}
