import { LoadBoard } from '../../src/core/board.ts';
import { modelName, replicaId, slot, type ModelName } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { CandidateLists } from '../../src/gateway/candidates.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';
import { ReplicaSight } from '../../src/gateway/replica-sight.ts';
import { route } from '../../src/gateway/route.ts';

const workers = 2;
const blocks = 25;
const picksPerBlock = 50_000;
const none: ReadonlySet<never> = new Set();

export interface PickShape {
  /** Of each model. */
  readonly replicas: number;
  readonly models: number;
}

/** Nanoseconds of CPU. */
export interface PickCost {
  /** Of finding the model by its name and reading one field of it and of its first replica: what any gateway does, and what more models make dearer. */
  readonly lookUp: number;
  /** Of a pick by least in flight, its look-up, its count on the board and the count given back. */
  readonly leastInFlight: number;
  /** The same, by affinity. */
  readonly affinity: number;
}

/** One of these for each pick. */
type Work = (pick: number) => void;

/** The least of blocks that take turns, so that whatever else the machine does meets all alike. */
export function pickCosts(shapes: readonly PickShape[]): readonly PickCost[] {
  const measured = shapes.map((shape) => works(shape).map((work) => ({ work, least: Number.POSITIVE_INFINITY })));
  for (let warmUp = 0; warmUp < 3; warmUp += 1) for (const { work } of measured.flat()) block(work);
  for (let round = 0; round < blocks; round += 1) for (const each of measured.flat()) each.least = Math.min(each.least, block(each.work));
  return measured.map(([lookUp, plain, affine]) => ({
    lookUp: lookUp?.least ?? Number.NaN,
    leastInFlight: plain?.least ?? Number.NaN,
    affinity: affine?.least ?? Number.NaN,
  }));
}

/** Of the process: the kernel counts that of a single thread only up to its last tick, which may be as long ago as a block takes. */
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** What one of a block's picks cost in nanoseconds. */
function block(work: Work): number {
  const began = cpuUs();
  for (let pick = 0; pick < picksPerBlock; pick += 1) work(pick);
  return ((cpuUs() - began) * 1000) / picksPerBlock;
}

function works({ replicas, models }: PickShape): readonly Work[] {
  const views = (model: number): readonly ReplicaView[] =>
    Array.from({ length: replicas }, (_, index) => ({
      id: replicaId(`org/model-${model}#${index}`),
      slot: slot(model * (replicas + 1) + index + 1),
      index,
      upstream: 'http://127.0.0.1:1',
      apiKey: '',
      maxInFlight: 64,
    }));
  const entries = Array.from(
    { length: models },
    (_, at) => [modelName(`org/model-${at}`), { waiting: slot(at * (replicas + 1)), replicas: views(at) }] as const,
  );
  const table = new Map(entries);
  const names = entries.map(([name]) => name);
  const board = LoadBoard.create(workers, models * (replicas + 1));
  const lists = new CandidateLists(board);
  const memory = new ReplicaMemory();
  const entryOf = (pick: number) => {
    const entry = table.get(names[pick % models] as ModelName);
    if (entry === undefined) throw new Error('no model was found');
    return entry;
  };
  const pickOne = (pick: number, affinity: number | undefined): void => {
    const candidates = lists.of(entryOf(pick));
    const sight = new ReplicaSight(candidates, board, memory, 0);
    const decision = route({ exclude: none, tieBreak: pick, affinity }, candidates.replicas, sight);
    if (decision.kind !== 'send') throw new Error('no replica was picked');
    board.add(0, decision.replica.slot, 1);
    board.add(0, decision.replica.slot, -1);
  };
  return [
    (pick) => {
      if (entryOf(pick).replicas[0]?.maxInFlight !== 64) throw new Error('another replica was found');
    },
    (pick) => pickOne(pick, undefined),
    (pick) => pickOne(pick, Math.imul(pick, 0x9e3779b1)),
  ];
}
