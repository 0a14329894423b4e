import { alignColumns } from '../report/table.ts';
import { hitRate, policies } from './hit-rate.ts';
import { pickCost } from './pick-cost.ts';
import { conversations } from './trace.ts';

const shapes = [
  { replicas: 1, models: 1 },
  { replicas: 16, models: 1 },
  { replicas: 256, models: 1 },
  { replicas: 16, models: 100 },
  { replicas: 16, models: 1000 },
] as const;
const trace = { seed: 1, conversations: 2000, seconds: 3600 } as const;
const simulatedReplicas = 8;

/** What a pick costs, and what affinity is worth: computed in this process, without any system beside it. */
export function routingReport(): readonly string[] {
  const costs = shapes.map(({ replicas, models }) => [
    `${replicas} replicas, ${models} models`,
    pickCost(replicas, models, false).toFixed(0),
    pickCost(replicas, models, true).toFixed(0),
  ]);
  const turns = conversations(trace.seed, trace.conversations, trace.seconds);
  const hits = policies.map((policy) => {
    const { hit, spread } = hitRate(policy, turns, simulatedReplicas);
    return [policy, `${(hit * 100).toFixed(1)} %`, spread.toFixed(2)];
  });
  return [
    ...alignColumns([['ns/pick', 'least in flight', 'affinity'], ...costs]),
    '',
    ...alignColumns([[`${turns.length} turns on ${simulatedReplicas} replicas`, 'prompt tokens in cache', 'load max ÷ mean'], ...hits]),
  ];
}
