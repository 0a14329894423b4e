import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';
import type { ModelEntry } from './schema.ts';

type Deployment = ModelEntry['deployment_config'];
type Scaling = NonNullable<Deployment['autoscaling_config']>;

/** Replicas that run: a number given, or what autoscaling would start with. @param path of `deployment_config` */
export function resolveReplicas(deployment: Deployment, path: ConfigPath, context: ResolveContext): number {
  const { num_replicas: count, autoscaling_config: scaling } = deployment;
  if (scaling !== undefined) checkScaling(scaling, [...path, 'autoscaling_config'], context);
  if (typeof count === 'number') {
    if (scaling !== undefined)
      context.problem([...path, 'num_replicas'], `a number (${count}) beside autoscaling_config; expected only one of them, or auto`);
    return count;
  }
  if (count === undefined && scaling === undefined) return 1;
  const replicas = Math.max(1, scaling?.initial_replicas ?? scaling?.min_replicas ?? 1);
  const key = scaling === undefined ? 'num_replicas' : 'autoscaling_config';
  context.warning(
    [...path, key],
    `accepted, no effect yet: autoscaling is not in this version; ${replicas === 1 ? '1 replica runs' : `${replicas} replicas run`} all the time`,
  );
  return replicas;
}

/** Ray's rules; its defaults are a minimum of 1 and a maximum of 1, or of 100 with `num_replicas: auto`. */
function checkScaling(scaling: Scaling, path: ConfigPath, context: ResolveContext): void {
  const { min_replicas: min = 1, max_replicas: max, initial_replicas: initial } = scaling;
  if (max !== undefined && min > max) {
    const key = scaling.min_replicas === undefined ? 'max_replicas' : 'min_replicas';
    context.problem([...path, key], `min_replicas is ${min} and max_replicas ${max}; expected the first to be no larger`);
  } else if (typeof initial === 'number' && (initial < min || (max !== undefined && initial > max))) {
    const range = max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
    context.problem([...path, 'initial_replicas'], `expected a number ${range} (min_replicas, max_replicas), got ${initial}`);
  }
  if (scaling.look_back_period_s !== undefined && scaling.look_back_period_s < (scaling.metrics_interval_s ?? 0)) {
    context.problem([...path, 'look_back_period_s'], `expected no less than metrics_interval_s (${scaling.metrics_interval_s ?? 0})`);
  }
}
