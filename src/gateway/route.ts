import type { ReplicaId } from '../core/ids.ts';
import type { ReplicaView } from '../core/table.ts';

export interface Candidate {
  readonly replica: ReplicaView;
  readonly inFlight: number;
}

export interface RouteRequest {
  /** Replicas that failed this request already: taken again only when there is no other. */
  readonly exclude: ReadonlySet<ReplicaId>;
  /** Any number ≥ 0; decides between replicas that are equally good. */
  readonly tieBreak: number;
  /** Requests with the same key prefer the same replica. */
  readonly affinity: number | undefined;
}

export type RouteDecision =
  | { readonly kind: 'send'; readonly replica: ReplicaView }
  | { readonly kind: 'wait'; readonly reason: 'no-replica' | 'saturated' };

const noReplica: RouteDecision = { kind: 'wait', reason: 'no-replica' };
const saturated: RouteDecision = { kind: 'wait', reason: 'saturated' };
const none: ReadonlySet<ReplicaId> = new Set();

/** How far above the mean load a preferred replica may be, before its keys spill over to their next choice. */
const loadFactor = 1.25;
/** … and what it may always take: a conversation often has two requests at a time. */
const leastBound = 2;

/** Filter → score → pick. Pure; looks at each candidate once and builds no list, for it runs on every request. */
export function route(request: RouteRequest, candidates: readonly Candidate[]): RouteDecision {
  if (candidates.length === 0) return noReplica;
  const fresh = pick(request, candidates, request.exclude);
  const best = fresh ?? (request.exclude.size > 0 ? pick(request, candidates, none) : undefined);
  return best === undefined ? saturated : { kind: 'send', replica: best };
}

function pick(request: RouteRequest, candidates: readonly Candidate[], exclude: ReadonlySet<ReplicaId>): ReplicaView | undefined {
  const preferred = request.affinity === undefined ? undefined : highestWeight(request.affinity, candidates, exclude);
  return preferred ?? leastInFlight(request, candidates, exclude);
}

/**
 * Rendezvous hashing bounded by load: of the replicas below the bound, the one with the highest weight for the key. Every worker
 * and every gateway agrees without talking, and when a replica goes only its own keys move.
 */
function highestWeight(key: number, candidates: readonly Candidate[], exclude: ReadonlySet<ReplicaId>): ReplicaView | undefined {
  let total = 1;
  for (const { inFlight } of candidates) total += inFlight;
  const bound = Math.max(leastBound, Math.ceil((loadFactor * total) / candidates.length));
  let best: ReplicaView | undefined;
  let bestWeight = -1;
  for (const { replica, inFlight } of candidates) {
    if (inFlight >= Math.min(bound, replica.maxInFlight) || exclude.has(replica.id)) continue;
    const weight = weightOf(key, replica.index);
    if (weight <= bestWeight) continue;
    best = replica;
    bestWeight = weight;
  }
  return best;
}

/** A number from 0 to 2³² − 1 that looks random in both arguments (the finalizer of MurmurHash3). */
export function weightOf(key: number, index: number): number {
  let mixed = Math.imul(key ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function leastInFlight(request: RouteRequest, candidates: readonly Candidate[], exclude: ReadonlySet<ReplicaId>): ReplicaView | undefined {
  const count = candidates.length;
  const first = request.tieBreak % count;
  let best: Candidate | undefined;
  for (let step = 0; step < count; step += 1) {
    const candidate = candidates[(first + step) % count] as Candidate;
    if (candidate.inFlight >= candidate.replica.maxInFlight || exclude.has(candidate.replica.id)) continue;
    if (best === undefined || candidate.inFlight < best.inFlight) best = candidate;
  }
  return best?.replica;
}
