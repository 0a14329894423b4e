import type { LoadBoard } from '../core/board.ts';
import type { ReplicaView } from '../core/table.ts';

/** Replicas whose cells are read anew for one pick, on average: with more of them a sum is used for several picks. */
const readsPerPick = 4;

/** Requests in flight on all of them. */
export function sumOfLoads(board: LoadBoard, replicas: readonly ReplicaView[]): number {
  let total = 0;
  for (const { slot } of replicas) total += board.read(slot);
  return total;
}

/** One worker's sums of the requests in flight on all replicas of a model. */
export class LoadTotals {
  readonly #board: LoadBoard;
  readonly #sums = new WeakMap<readonly ReplicaView[], { total: number; uses: number }>();

  constructor(board: LoadBoard) {
    this.#board = board;
  }

  /** `replicas`: the list of the present table, whose identity stands for the model. Counts of other workers may trail a few picks. */
  of(replicas: readonly ReplicaView[]): number {
    const known = this.#sums.get(replicas);
    if (known !== undefined && known.uses > 0) {
      known.uses -= 1;
      return known.total;
    }
    const total = sumOfLoads(this.#board, replicas);
    this.#sums.set(replicas, { total, uses: Math.floor((replicas.length - 1) / readsPerPick) });
    return total;
  }
}
