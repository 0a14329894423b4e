import { LoadBoard } from '../../src/core/board.ts';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { LoadTotals } from '../../src/gateway/load-totals.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';
import { route } from '../../src/gateway/route.ts';
import { median } from '../measure/statistics.ts';

const workers = 2;
const blocks = 9;
const picksPerBlock = 40_000;
const none: ReadonlySet<never> = new Set();

/** Median nanoseconds of one pick with its look-up of the model, its count on the board and the count given back. */
export function pickCost(replicas: number, models: number, affinity: boolean): number {
  const views = Array.from({ length: replicas }, (_, index): ReplicaView => ({
    id: replicaId(`r${index}`),
    slot: slot(index),
    index,
    upstream: 'http://127.0.0.1:1',
    apiKey: '',
    maxInFlight: 64,
  }));
  const table = new Map(Array.from({ length: models }, (_, at) => [modelName(`org/model-${at}`), views] as const));
  const names = [...table.keys()];
  const board = LoadBoard.create(workers, replicas);
  const totals = new LoadTotals(board);
  const memory = new ReplicaMemory();
  const sight = {
    load: (replica: ReplicaView) => board.read(replica.slot),
    total: () => totals.of(views),
    admits: (replica: ReplicaView) => memory.admits(replica.id, 0),
    share: (replica: ReplicaView) => memory.share(replica.id, 0),
  };
  const block = (): number => {
    const began = performance.now();
    for (let pick = 0; pick < picksPerBlock; pick += 1) {
      const candidates = table.get(names[pick % models] as (typeof names)[number]) ?? [];
      const decision = route(
        { exclude: none, tieBreak: pick, affinity: affinity ? Math.imul(pick, 0x9e3779b1) : undefined },
        candidates,
        sight,
      );
      if (decision.kind !== 'send') throw new Error('no replica was picked');
      board.add(0, decision.replica.slot, 1);
      board.add(0, decision.replica.slot, -1);
    }
    return ((performance.now() - began) * 1e6) / picksPerBlock;
  };
  for (let warmUp = 0; warmUp < 3; warmUp += 1) block();
  return median(Array.from({ length: blocks }, block));
}
