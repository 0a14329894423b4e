import { alignColumns } from '../report/table.ts';
import { outcome } from '../report/verdict.ts';
import { adapterHitRate, adapterPolicies } from './adapter-hit-rate.ts';
import { hitRate, policies } from './hit-rate.ts';
import { type PickCost, pickCosts, type PickShape } from './pick-cost.ts';
import { conversations } from './trace.ts';

const shapes = [
  { replicas: 1, models: 1 },
  { replicas: 16, models: 1 },
  { replicas: 256, models: 1 },
  // As many as the load board has room for, 1000 times.
  { replicas: 4, models: 1 },
  { replicas: 4, models: 100 },
  { replicas: 4, models: 1000 },
] as const satisfies readonly PickShape[];
/** Between which shapes a pick, apart from its look-up, is to cost the same. One replica is taken without a pick. */
const flatBetween = [
  { title: 'from 16 to 256 replicas', from: 1, to: 2 },
  { title: 'from 1 to 1000 models', from: 3, to: 5 },
] as const;
/** The dearest pick over the cheapest. */
const flatGoal = 1.2;
const trace = { seed: 1, conversations: 2000, seconds: 3600 } as const;
const simulatedReplicas = 8;
const adapterTrace = { seed: 1, requests: 20_000, adapters: 64, replicas: simulatedReplicas, capacity: 4 } as const;

function flatness(measured: readonly PickCost[]): readonly string[] {
  return flatBetween.map(({ title, from, to }) => {
    const ratio = (cost: (of: PickCost) => number): number => {
      const range = measured.slice(from, to + 1).map((each) => cost(each) - each.lookUp);
      return Math.max(...range) / Math.min(...range);
    };
    const [plain, affine] = [ratio(({ leastInFlight }) => leastInFlight), ratio(({ affinity }) => affinity)];
    return `${outcome(Math.max(plain, affine), flatGoal)}: a pick beside its look-up ${title}: least in flight ${plain.toFixed(2)} ×, affinity ${affine.toFixed(2)} ×, goal ≤ ${flatGoal} ×`;
  });
}

/** What a pick costs, and what affinity is worth: computed in this process, without any system beside it. */
export function routingReport(): readonly string[] {
  const measured = pickCosts(shapes);
  const costs = shapes.map(({ replicas, models }, at) => [
    `${replicas} replicas, ${models} models`,
    ...[measured[at]?.lookUp, measured[at]?.leastInFlight, measured[at]?.affinity].map((cost) => cost?.toFixed(0) ?? ''),
  ]);
  const turns = conversations(trace.seed, trace.conversations, trace.seconds);
  const hits = policies.map((policy) => {
    const { hit, spread } = hitRate(policy, turns, simulatedReplicas);
    return [policy, `${(hit * 100).toFixed(1)} %`, spread.toFixed(2)];
  });
  return [
    ...alignColumns([['ns/pick', 'look-up alone', 'least in flight', 'affinity'], ...costs]),
    '',
    ...flatness(measured),
    '',
    ...alignColumns([[`${turns.length} turns on ${simulatedReplicas} replicas`, 'prompt tokens in cache', 'load max ÷ mean'], ...hits]),
    '',
    ...alignColumns([
      [
        `${adapterTrace.requests} requests for ${adapterTrace.adapters} adapters, ${simulatedReplicas} replicas with room for ${adapterTrace.capacity}`,
        'met it loaded',
      ],
      ...adapterPolicies.map((policy) => [policy, `${(adapterHitRate(policy, adapterTrace) * 100).toFixed(1)} %`]),
    ]),
  ];
}
