import { LoadBoard } from '../../src/core/board.ts';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { CandidateLists } from '../../src/gateway/candidates.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';
import { ReplicaSight } from '../../src/gateway/replica-sight.ts';
import { route } from '../../src/gateway/route.ts';
import { median } from '../measure/statistics.ts';

const workers = 2;
const blocks = 15;
const picksPerBlock = 50_000;
const none: ReadonlySet<never> = new Set();

export interface PickShape {
  readonly replicas: number;
  readonly models: number;
}

/**
 * Nanoseconds of CPU of one pick with its look-up of the model, its count on the board and the count given back: for each shape by least in
 * flight and by affinity. Medians of blocks that take turns, so that whatever else the machine does meets all alike.
 */
export function pickCosts(shapes: readonly PickShape[]): readonly (readonly [number, number])[] {
  const measured = shapes.map((shape) => [false, true].map((affinity) => ({ block: picks(shape, affinity), costs: [] as number[] })));
  for (let warmUp = 0; warmUp < 3; warmUp += 1) for (const { block } of measured.flat()) block();
  for (let round = 0; round < blocks; round += 1) for (const { block, costs } of measured.flat()) costs.push(block());
  return measured.map(([plain, affine]) => [median(plain?.costs ?? []), median(affine?.costs ?? [])]);
}

/** Of the process: the kernel counts that of a single thread only up to its last tick, which may be as long ago as a block takes. */
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** A block of picks, which says what one of them cost in nanoseconds. */
function picks({ replicas, models }: PickShape, affinity: boolean): () => number {
  const views = Array.from({ length: replicas }, (_, index): ReplicaView => ({
    id: replicaId(`r${index}`),
    slot: slot(index),
    index,
    upstream: 'http://127.0.0.1:1',
    apiKey: '',
    maxInFlight: 64,
  }));
  const table = new Map(Array.from({ length: models }, (_, at) => [modelName(`org/model-${at}`), [...views]] as const));
  const names = [...table.keys()];
  const board = LoadBoard.create(workers, replicas);
  const lists = new CandidateLists(board);
  const memory = new ReplicaMemory();
  return () => {
    const began = cpuUs();
    for (let pick = 0; pick < picksPerBlock; pick += 1) {
      const candidates = lists.of(table.get(names[pick % models] as (typeof names)[number]) ?? []);
      const decision = route(
        { exclude: none, tieBreak: pick, affinity: affinity ? Math.imul(pick, 0x9e3779b1) : undefined },
        candidates.replicas,
        new ReplicaSight(candidates, board, memory, 0),
      );
      if (decision.kind !== 'send') throw new Error('no replica was picked');
      board.add(0, decision.replica.slot, 1);
      board.add(0, decision.replica.slot, -1);
    }
    return ((cpuUs() - began) * 1000) / picksPerBlock;
  };
}
