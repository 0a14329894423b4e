import type { ModelName } from '../core/ids.ts';
import type { ModelLoad } from '../core/model-load.ts';
import { preempt } from './preempt.ts';
import type { FindsGpus, GpuTurn } from './preempt.ts';
import type { ScaledModel } from './scaled-model.ts';

/** Whose turn it is to get GPUs, by the loads that were decided by last; nobody's where nobody lacks one. @param before whose it was */
export function turnOf(
  models: ReadonlyMap<string, ScaledModel>,
  loads: readonly ModelLoad[],
  now: number,
  findsGpus: FindsGpus,
  before: ModelName | undefined,
): GpuTurn | undefined {
  if (!loads.some(({ lacksGpus }) => lacksGpus !== undefined)) return undefined;
  const users = loads.flatMap((load) => models.get(load.name)?.gpuUser(load, now) ?? []);
  return preempt(users, findsGpus, before);
}
