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
}

export type RouteDecision =
  | { readonly kind: 'send'; readonly replica: ReplicaView }
  | { readonly kind: 'wait'; readonly reason: 'no-replica' | 'saturated' };

const noReplica: RouteDecision = { kind: 'wait', reason: 'no-replica' };
const saturated: RouteDecision = { kind: 'wait', reason: 'saturated' };

/** Filter → score → pick. Pure; looks at each candidate once and builds no list, for it runs on every request. */
export function route(request: RouteRequest, candidates: readonly Candidate[]): RouteDecision {
  if (candidates.length === 0) return noReplica;
  const fresh = leastInFlight(request, candidates, request.exclude);
  const best = fresh ?? (request.exclude.size > 0 ? leastInFlight(request, candidates, none) : undefined);
  return best === undefined ? saturated : { kind: 'send', replica: best };
}

const none: ReadonlySet<ReplicaId> = new Set();

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
