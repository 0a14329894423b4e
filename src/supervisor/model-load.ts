import type { LoadBoard } from '../core/board.ts';
import type { ModelLoad } from '../core/model-load.ts';
import { standingOf } from './plan.ts';
import type { Replica } from './replica.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { desiredOf, gpuRequest } from './replica-plan.ts';

export type { ModelLoad } from '../core/model-load.ts';

/** @param waiting requests that wait for the model */
export function loadOf(plan: ReplicaPlan, waiting: number, replicas: readonly Replica[], board: LoadBoard): ModelLoad {
  let inFlight = 0;
  let progress = 0;
  let running = 0;
  let newestSince: number | undefined;
  for (const { slot, state } of replicas) {
    if (slot === undefined) continue;
    progress += board.readProgress(slot);
    if (state.kind === 'ready' || state.kind === 'falling-asleep') inFlight += board.read(slot);
    if (state.kind !== 'ready') continue;
    newestSince = Math.max(newestSince ?? 0, state.since);
    if (state.serving) running += 1;
  }
  const { name, replicas: wanted } = desiredOf(plan);
  const { gpus, share, priority, acceleratorType = '' } = gpuRequest(0, plan);
  return {
    name,
    waiting,
    inFlight,
    progress,
    running,
    asleep: replicas.filter(({ state }) => state.kind === 'asleep' || state.kind === 'falling-asleep').length,
    wanted,
    newestSince,
    gpusEach: gpus * share,
    gpuNeed: `${gpus} ${share} ${acceleratorType}`,
    priority,
    leaving: replicas.filter(({ state }) => standingOf(state) === 'leaving').length,
    lacksGpus: replicas.find(({ lacksGpus }) => lacksGpus)?.gpuWait,
  };
}
