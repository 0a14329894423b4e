import type { LoadBoard } from '../core/board.ts';
import type { ReplicaView } from '../core/table.ts';
import type { Candidates } from './candidates.ts';
import type { ReplicaMemory } from './replica-memory.ts';
import type { Sight } from './route.ts';

/** What a worker knows of the replicas at the moment of one pick. */
export class ReplicaSight implements Sight {
  readonly alike: boolean;
  readonly #candidates: Candidates;
  readonly #board: LoadBoard;
  readonly #memory: ReplicaMemory;
  readonly #now: number;

  constructor(candidates: Candidates, board: LoadBoard, memory: ReplicaMemory, now: number) {
    this.alike = memory.isEmpty(now);
    this.#candidates = candidates;
    this.#board = board;
    this.#memory = memory;
    this.#now = now;
  }

  load({ slot }: ReplicaView): number {
    return this.#board.glance(slot);
  }

  total(): number {
    return this.#candidates.total();
  }

  favourite(group: number, after?: ReplicaView): ReplicaView | undefined {
    return this.#candidates.favourite(group, after);
  }

  admits({ id }: ReplicaView): boolean {
    return this.#memory.admits(id, this.#now);
  }

  share({ id }: ReplicaView): number {
    return this.#memory.share(id, this.#now);
  }
}
