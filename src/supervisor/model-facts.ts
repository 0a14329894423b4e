import { wantedReplicas } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { SupervisorParts } from './supervisor-parts.ts';
import { toBeStarted } from './table.ts';
import type { ModelFact, ReplicaFact } from './table.ts';

/**
 * What the routing table is made of.
 * @param standing false while the models are only announced: their replicas are still to be started.
 */
export function modelFacts(
  { models, replicas, adapters }: Pick<SupervisorParts, 'models' | 'replicas' | 'adapters'>,
  standing: boolean,
): readonly ModelFact[] {
  const byModel = replicas.byModel();
  return [...models.entries()].map(([name, { plan, waiting, created }]) => ({
    config: plan.model,
    waiting,
    created,
    replicas: standing
      ? adapters.seen(
          name,
          (byModel.get(name) ?? []).map((replica) => replica.fact()),
        )
      : announced(plan),
  }));
}

/** The replicas of a model of which none has been started. */
function announced(plan: ReplicaPlan): readonly ReplicaFact[] {
  return wantedReplicas(plan) > 0 ? [toBeStarted] : [];
}
