import { heaviestOf } from '../../src/core/rendezvous.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { route, type RouteDecision, type RouteRequest, type Sight } from '../../src/gateway/route.ts';

/** A replica together with what a worker would know of it. */
export interface Candidate {
  readonly replica: ReplicaView;
  readonly inFlight: number;
  readonly admits?: boolean;
  readonly share?: number;
}

export function routeAmong(request: RouteRequest, candidates: readonly Candidate[]): RouteDecision {
  const known = new Map(candidates.map((candidate) => [candidate.replica, candidate]));
  const sight: Sight = {
    load: (replica) => known.get(replica)?.inFlight ?? 0,
    total: () => candidates.reduce((sum, { inFlight }) => sum + inFlight, 0),
    favourite: (group) =>
      candidates[
        heaviestOf(
          group,
          candidates.map(({ replica }) => replica),
        )
      ]?.replica,
    admits: (replica) => known.get(replica)?.admits ?? true,
    share: (replica) => known.get(replica)?.share ?? 1,
  };
  return route(
    request,
    candidates.map(({ replica }) => replica),
    sight,
  );
}
