import { alignColumns } from '../report/table.ts';
import { bareCrowdCost, crowdCost } from './crowd.ts';
import { planCost } from './plan-cost.ts';
import { processCost } from './processes.ts';
import { restCost } from './rest-cost.ts';

const supervised = 256;
/** Two periods of the health probe. */
const restMs = 20_000;
const planned = { models: 1000, gpus: 64 } as const;

/** What the control plane costs: computed in this process. `dir`: for its config file. */
export async function supervisorReport(quick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const planMs = planCost(planned.models, planned.gpus);
  const share = await restCost(supervised, quick ? 1 : 2, dir, signal);
  const real = quick ? { replicas: 8, kills: 4, restMs } : { replicas: 64, kills: 16, restMs };
  const { restShare, exitMs, bareExitMs, adoptionMs } = await processCost(real, dir, signal);
  const crowd = quick ? 32 : supervised;
  const together = await crowdCost(crowd, dir, signal);
  const bareTogether = await bareCrowdCost(crowd, signal);
  return alignColumns([
    ['control plane', 'measured', 'goal'],
    [`plan for ${planned.models} models on ${planned.gpus} GPUs`, `${planMs.toFixed(1)} ms`, '< 50 ms'],
    [`${supervised} replicas at rest, run by others`, `${(share * 100).toFixed(2)} % of a core`, '< 2 %'],
    [`${real.replicas} engine processes at rest`, `${(restShare * 100).toFixed(2)} % of a core`, ''],
    [`${real.replicas} engines of a former gateway taken over, and routable`, `${adoptionMs.toFixed(0)} ms`, '< 1000 ms'],
    [`end of an engine known, median of ${real.kills}`, `${exitMs.median.toFixed(1)} ms`, '< 100 ms'],
    ['end of an engine known, longest', `${exitMs.longest.toFixed(1)} ms`, ''],
    ['end of any child of Node known, median', `${bareExitMs.median.toFixed(1)} ms`, ''],
    ['end of any child of Node known, longest', `${bareExitMs.longest.toFixed(1)} ms`, ''],
    [`ends of ${crowd} engines at once known, longest`, `${together.longest.toFixed(1)} ms`, '< 100 ms'],
    [`ends of ${crowd} children of Node at once known, longest`, `${bareTogether.longest.toFixed(1)} ms`, ''],
  ]);
}
