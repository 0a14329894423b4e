import { alignColumns } from '../report/table.ts';
import { planCost } from './plan-cost.ts';
import { restCost } from './rest-cost.ts';

const supervised = 256;
const planned = { models: 1000, gpus: 64 } as const;

/** What the control plane costs: computed in this process. `dir`: for its config file. */
export async function supervisorReport(quick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const planMs = planCost(planned.models, planned.gpus);
  const share = await restCost(supervised, quick ? 1 : 2, dir, signal);
  return alignColumns([
    ['control plane', 'measured', 'goal'],
    [`plan for ${planned.models} models on ${planned.gpus} GPUs`, `${planMs.toFixed(1)} ms`, '< 50 ms'],
    [`${supervised} replicas at rest`, `${(share * 100).toFixed(2)} % of a core`, '< 2 %'],
  ]);
}
