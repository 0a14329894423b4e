import type { LoadBoard } from '../core/board.ts';
import type { ModelName } from '../core/ids.ts';
import { loadOf } from './model-load.ts';
import type { ModelLoad } from './model-load.ts';
import { leastWorth } from './plan.ts';
import { replicaName } from './replica-id.ts';
import { gpuRequest } from './replica-plan.ts';
import type { SupervisorParts } from './supervisor-parts.ts';

/** What the autoscaler decides by, of the models that it scales. */
export function loadsOf({ models, replicas }: Pick<SupervisorParts, 'models' | 'replicas'>, board: LoadBoard): readonly ModelLoad[] {
  const scaled = [...models.values()].filter(({ plan }) => plan.model.autoscaling !== undefined);
  if (scaled.length === 0) return [];
  const byModel = replicas.byModel();
  return scaled.map(({ plan, waiting }) => loadOf(plan, board.read(waiting), byModel.get(plan.model.name) ?? [], board));
}

/** Whether another replica of `model` would find its GPUs if others drained so many of theirs. */
export function findsGpus(
  { models, replicas, gpus }: Pick<SupervisorParts, 'models' | 'replicas' | 'gpus'>,
  model: ModelName,
  drained: ReadonlyMap<ModelName, number>,
): boolean {
  const taker = models.get(model);
  if (taker === undefined) return false;
  const observed = Map.groupBy(replicas.observed(false), (replica) => replica.model);
  const going = [...drained].flatMap(([name, count]) => {
    const staying = (observed.get(name) ?? []).filter(({ standing }) => standing !== 'leaving');
    return leastWorth(staying, count).map(({ index }) => replicaName(name, index));
  });
  return gpus.fits(gpuRequest(0, taker.plan), new Set(going));
}
