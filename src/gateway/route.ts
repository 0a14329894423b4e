import type { ReplicaId } from '../core/ids.ts';
import { weightOf } from '../core/rendezvous.ts';
import type { ReplicaView } from '../core/table.ts';

export interface RouteRequest {
  /** Replicas that failed this request already: taken again only when there is no other. */
  readonly exclude: ReadonlySet<ReplicaId>;
  /** Any number ≥ 0; decides between replicas that are equally good. */
  readonly tieBreak: number;
  /** Requests with the same key prefer the same replica. */
  readonly affinity: number | undefined;
}

/** What is known of the replicas at the moment of the pick. */
export interface Sight {
  /** Requests in flight on it. */
  load(replica: ReplicaView): number;
  /** Requests in flight on all of them; may trail a little. */
  total(): number;
  /** Whether it is trusted with a request now. */
  admits(replica: ReplicaView): boolean;
  /** The share of a full load it should get, 0 < share ≤ 1: less than 1 while it is new. */
  share(replica: ReplicaView): number;
}

/** Why a replica was picked, for whoever debugs it. */
export type RouteReason = 'only-one' | 'least-in-flight' | 'affinity' | 'affinity-spilled' | 'last-resort';

export type RouteDecision =
  | { readonly kind: 'send'; readonly replica: ReplicaView; readonly reason: RouteReason }
  | { readonly kind: 'wait'; readonly reason: 'no-replica' | 'saturated' };

const noReplica: RouteDecision = { kind: 'wait', reason: 'no-replica' };
const saturated: RouteDecision = { kind: 'wait', reason: 'saturated' };

/** How far above the mean load a preferred replica may be, before its keys spill over to their next choice. */
const loadFactor = 1.25;
/** … and what it may always take: a conversation often has two requests at a time. */
const leastBound = 2;
/** How many of its preferred replicas a key looks at before it goes where the load is least. */
const choices = 8;
/** From so many replicas on, the better of two drawn ones is taken: nearly as good as the best of all, at a cost that does not grow. */
const many = 16;

/**
 * Filter → score → pick. Pure; builds no list, for it runs on every request. One that is distrusted, or that failed this request, gets it
 * only where no other replica is left: while others are full, the request waits for them.
 */
export function route(request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight): RouteDecision {
  const only = replicas[0];
  if (only === undefined) return noReplica;
  if (replicas.length === 1) {
    return sight.load(only) < only.maxInFlight ? { kind: 'send', replica: only, reason: 'only-one' } : saturated;
  }
  const picked = pick(request, replicas, sight, 'trusted');
  if (picked !== undefined) return picked;
  const trustsAny = replicas.some((replica) => sight.admits(replica) && !request.exclude.has(replica.id));
  if (trustsAny) return saturated;
  const second = pick(request, replicas, sight, 'untried');
  const last = second ?? (request.exclude.size > 0 ? pick(request, replicas, sight, 'any') : undefined);
  return last === undefined ? saturated : { ...last, reason: 'last-resort' };
}

/** Which replicas are looked at: each kind includes those before it. */
type Circle = 'trusted' | 'untried' | 'any';
type Pick = (RouteDecision & { kind: 'send' }) | undefined;

function pick(request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight, circle: Circle): Pick {
  const usable = (replica: ReplicaView, load: number): boolean =>
    load < replica.maxInFlight && (circle === 'any' || !request.exclude.has(replica.id)) && (circle !== 'trusted' || sight.admits(replica));
  const preferred = request.affinity === undefined ? undefined : highestWeight(request.affinity, replicas, sight, usable);
  if (preferred !== undefined) return preferred;
  const drawn = replicas.length < many ? undefined : betterOfTwo(request.tieBreak, replicas, sight, usable);
  const replica = drawn ?? leastInFlight(request.tieBreak, replicas, sight, usable);
  return replica === undefined ? undefined : { kind: 'send', replica, reason: 'least-in-flight' };
}

type Usable = (replica: ReplicaView, load: number) => boolean;

/**
 * Rendezvous hashing bounded by load: of the replicas below the bound, the one with the highest weight for the key. Every worker
 * and every gateway agrees without talking, and when a replica goes only its own keys move.
 */
function highestWeight(key: number, replicas: readonly ReplicaView[], sight: Sight, usable: Usable): Pick {
  const bound = Math.max(leastBound, Math.ceil((loadFactor * (sight.total() + 1)) / replicas.length));
  // Loads cost more to look at than weights, so only those of the replicas that are preferred are.
  let below = Number.POSITIVE_INFINITY;
  for (let choice = 0; choice < Math.min(choices, replicas.length); choice += 1) {
    const best = heaviest(key, replicas, below);
    if (best === undefined) return undefined;
    below = weightOf(key, best.index);
    const load = sight.load(best);
    if (load >= Math.max(leastBound, bound * sight.share(best)) || !usable(best, load)) continue;
    return { kind: 'send', replica: best, reason: choice === 0 ? 'affinity' : 'affinity-spilled' };
  }
  return undefined;
}

/** The replica with the highest weight for the key under `below`. */
function heaviest(key: number, replicas: readonly ReplicaView[], below: number): ReplicaView | undefined {
  let best: ReplicaView | undefined;
  let bestWeight = -1;
  for (const replica of replicas) {
    const weight = weightOf(key, replica.index);
    if (weight <= bestWeight || weight >= below) continue;
    best = replica;
    bestWeight = weight;
  }
  return best;
}

/** The load one more request would make, as much heavier as the replica should get less. */
function burden(replica: ReplicaView, load: number, sight: Sight): number {
  return (load + 1) / sight.share(replica);
}

function leastInFlight(tieBreak: number, replicas: readonly ReplicaView[], sight: Sight, usable: Usable): ReplicaView | undefined {
  const count = replicas.length;
  const first = tieBreak % count;
  let best: ReplicaView | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < count; step += 1) {
    const replica = replicas[(first + step) % count] as ReplicaView;
    const load = sight.load(replica);
    if (!usable(replica, load)) continue;
    const heavy = burden(replica, load, sight);
    if (heavy >= least) continue;
    best = replica;
    least = heavy;
  }
  return best;
}

/** Power of two choices; undefined when neither of the two can be used. */
function betterOfTwo(tieBreak: number, replicas: readonly ReplicaView[], sight: Sight, usable: Usable): ReplicaView | undefined {
  const count = replicas.length;
  const first = weightOf(tieBreak, 0) % count;
  const second = (first + 1 + (weightOf(tieBreak, 1) % (count - 1))) % count;
  return leastInFlight(0, [replicas[first] as ReplicaView, replicas[second] as ReplicaView], sight, usable);
}
