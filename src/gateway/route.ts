import type { ReplicaId } from '../core/ids.ts';
import { groupOf, weightOf } from '../core/rendezvous.ts';
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
  /** Nothing is known against any of them, and none is new: `admits` and `share` need not be asked. */
  readonly alike: boolean;
  /** The one that this group of keys prefers to all others, or to all that it likes less than `after`. */
  favourite(group: number, after?: ReplicaView): ReplicaView | undefined;
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

function usable(request: RouteRequest, sight: Sight, circle: Circle, replica: ReplicaView, load: number): boolean {
  if (load >= replica.maxInFlight) return false;
  if (circle !== 'any' && request.exclude.size > 0 && request.exclude.has(replica.id)) return false;
  return circle !== 'trusted' || sight.alike || sight.admits(replica);
}

function pick(request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight, circle: Circle): Pick {
  const preferred = request.affinity === undefined ? undefined : highestWeight(request.affinity, request, replicas, sight, circle);
  if (preferred !== undefined) return preferred;
  const drawn = replicas.length < many ? undefined : betterOfTwo(request, replicas, sight, circle);
  const replica = drawn ?? leastInFlight(request, replicas, sight, circle);
  return replica === undefined ? undefined : { kind: 'send', replica, reason: 'least-in-flight' };
}

/**
 * Rendezvous hashing bounded by load: of the replicas below the bound, the one with the highest weight for the key's group. Every worker
 * and every gateway agrees without talking, and when a replica goes only its own keys move.
 */
function highestWeight(key: number, request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight, circle: Circle): Pick {
  const bound = Math.max(leastBound, Math.ceil((loadFactor * (sight.total() + 1)) / replicas.length));
  const group = groupOf(key);
  // Loads cost more to look at than weights, so only those of the replicas that are preferred are.
  let best = sight.favourite(group);
  for (let choice = 0; best !== undefined;) {
    const load = sight.load(best);
    if (load < (sight.alike ? bound : Math.max(leastBound, bound * sight.share(best))) && usable(request, sight, circle, best, load))
      return { kind: 'send', replica: best, reason: choice === 0 ? 'affinity' : 'affinity-spilled' };
    choice += 1;
    if (choice === choices) return undefined;
    best = sight.favourite(group, best);
  }
  return undefined;
}

/** The load one more request would make, as much heavier as the replica should get less; more than any where it cannot be used. */
function burden(request: RouteRequest, sight: Sight, circle: Circle, replica: ReplicaView): number {
  const load = sight.load(replica);
  if (!usable(request, sight, circle, replica, load)) return Number.POSITIVE_INFINITY;
  return sight.alike ? load + 1 : (load + 1) / sight.share(replica);
}

function leastInFlight(request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight, circle: Circle): ReplicaView | undefined {
  const count = replicas.length;
  let at = request.tieBreak % count;
  let best: ReplicaView | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < count; step += 1) {
    const replica = replicas[at] as ReplicaView;
    at = at + 1 < count ? at + 1 : 0;
    const heavy = burden(request, sight, circle, replica);
    if (heavy >= least) continue;
    best = replica;
    least = heavy;
  }
  return best;
}

/** Power of two choices; undefined when neither of the two can be used. */
function betterOfTwo(request: RouteRequest, replicas: readonly ReplicaView[], sight: Sight, circle: Circle): ReplicaView | undefined {
  const count = replicas.length;
  const drawn = weightOf(request.tieBreak, 0);
  // Each half of the drawn number decides one of them: as evenly as 65,536 can be dealt out.
  const at = ((drawn >>> 16) * count) >>> 16;
  const next = at + 1 + (((drawn & 0xffff) * (count - 1)) >>> 16);
  const one = replicas[at] as ReplicaView;
  const other = replicas[next < count ? next : next - count] as ReplicaView;
  const weight = burden(request, sight, circle, one);
  const otherWeight = burden(request, sight, circle, other);
  if (otherWeight < weight) return other;
  return weight === Number.POSITIVE_INFINITY ? undefined : one;
}
