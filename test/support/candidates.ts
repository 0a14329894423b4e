import { LoadBoard } from '../../src/core/board.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { Candidates } from '../../src/gateway/candidates.ts';
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
  const replicas = candidates.map(({ replica }) => replica);
  const list = new Candidates(replicas, LoadBoard.create(1, 1));
  const sight: Sight = {
    load: (replica) => known.get(replica)?.inFlight ?? 0,
    total: () => candidates.reduce((sum, { inFlight }) => sum + inFlight, 0),
    alike: candidates.every(({ admits, share }) => admits === undefined && share === undefined),
    favourite: (group, after) => list.favourite(group, after),
    admits: (replica) => known.get(replica)?.admits ?? true,
    share: (replica) => known.get(replica)?.share ?? 1,
  };
  return route(request, replicas, sight);
}
