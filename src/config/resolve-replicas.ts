import type { Autoscaling, ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';
import { milliseconds } from './resolve-gateway.ts';
import type { ModelEntry } from './schema.ts';

type Deployment = ModelEntry['deployment_config'];
type Scaling = NonNullable<Deployment['autoscaling_config']>;

/** Ray's values where a key is not given. */
const rayDefaults = { min: 1, max: 1, maxOfAuto: 100, upscaleDelayS: 30, downscaleDelayS: 600, lookBackS: 30 } as const;
/** Of what a replica can work on at once: a start takes long, and the replicas there are must take what comes meanwhile. */
const targetShare = 0.7;

/** Their number, and how it changes by load. @param concurrency of one replica @param path of the entry */
export function resolveReplicas(
  entry: ModelEntry,
  concurrency: number | undefined,
  path: ConfigPath,
  context: ResolveContext,
): Pick<ModelConfig, 'replicas' | 'autoscaling'> {
  const { num_replicas: count, autoscaling_config: scaling } = entry.deployment_config;
  const { idle } = entry.gateway;
  const here = [...path, 'deployment_config'];
  if (scaling !== undefined) checkScaling(scaling, entry, [...here, 'autoscaling_config'], context);
  if (typeof count === 'number' && scaling !== undefined) {
    context.problem([...here, 'num_replicas'], `a number (${count}) beside autoscaling_config; expected only one of them, or auto`);
  }
  if (scaling === undefined && count !== 'auto' && idle === undefined) return { replicas: count ?? 1 };
  if (idle !== undefined) checkIdle(entry, path, context);
  const bounds = boundsOf(entry.deployment_config, idle !== undefined);
  const slots = entry.deployment_config.max_ongoing_requests ?? concurrency ?? 1;
  const autoscaling = autoscalingOf(scaling ?? {}, bounds, slots, idle);
  return { replicas: autoscaling.initial, autoscaling };
}

/** `idle` alone makes a model one that runs on demand: none, up to its `num_replicas`. */
function boundsOf({ num_replicas: count, autoscaling_config: scaling }: Deployment, idle: boolean): Pick<Autoscaling, 'min' | 'max'> {
  const most = count === 'auto' ? rayDefaults.maxOfAuto : (count ?? rayDefaults.max);
  const least = idle && scaling?.min_replicas === undefined ? 0 : rayDefaults.min;
  return { min: scaling?.min_replicas ?? least, max: scaling?.max_replicas ?? most };
}

function autoscalingOf(
  scaling: Partial<Scaling>,
  bounds: Pick<Autoscaling, 'min' | 'max'>,
  slots: number,
  idle: ModelEntry['gateway']['idle'],
): Autoscaling {
  const smoothing = scaling.smoothing_factor ?? 1;
  const given = scaling.target_ongoing_requests;
  // One request is no reason for a second replica, however few slots an engine has.
  const target = Math.max(1, Math.round(slots * targetShare * 100) / 100);
  const delayS = scaling.downscale_to_zero_delay_s ?? scaling.downscale_delay_s;
  const byDelay = idle === undefined && delayS !== undefined;
  return {
    ...bounds,
    initial: scaling.initial_replicas ?? bounds.min,
    target: given === undefined ? { ongoing: target, source: 'engine' } : { ongoing: given, source: 'config' },
    upscalingFactor: scaling.upscaling_factor ?? scaling.upscale_smoothing_factor ?? smoothing,
    downscalingFactor: scaling.downscaling_factor ?? scaling.downscale_smoothing_factor ?? smoothing,
    upscaleDelayMs: milliseconds(scaling.upscale_delay_s ?? rayDefaults.upscaleDelayS),
    downscaleDelayMs: milliseconds(scaling.downscale_delay_s ?? rayDefaults.downscaleDelayS),
    toZero: byDelay
      ? { kind: 'delay', ms: milliseconds(delayS) }
      : { kind: 'idle', ms: milliseconds(idle?.stop_s ?? rayDefaults.downscaleDelayS) },
    ...(idle?.sleep_s === undefined ? {} : { sleepMs: milliseconds(idle.sleep_s) }),
    lookBackMs: milliseconds(scaling.look_back_period_s ?? rayDefaults.lookBackS),
    aggregation: scaling.aggregation_function ?? 'mean',
  };
}

const renamed = {
  smoothing_factor: 'upscaling_factor and downscaling_factor',
  upscale_smoothing_factor: 'upscaling_factor',
  downscale_smoothing_factor: 'downscaling_factor',
} as const;

/** Ray's rules; its defaults are a minimum of 1 and a maximum of 1, or of 100 with `num_replicas: auto`. */
function checkScaling(scaling: Scaling, entry: ModelEntry, path: ConfigPath, context: ResolveContext): void {
  const { min, max } = boundsOf(entry.deployment_config, entry.gateway.idle !== undefined);
  const { initial_replicas: initial } = scaling;
  if (min > max) {
    const key = scaling.min_replicas === undefined ? 'max_replicas' : 'min_replicas';
    context.problem([...path, key], `min_replicas is ${min} and max_replicas ${max}; expected the first to be no larger`);
  } else if (typeof initial === 'number' && (initial < min || initial > max)) {
    context.problem([...path, 'initial_replicas'], `expected a number from ${min} to ${max} (min_replicas, max_replicas), got ${initial}`);
  }
  if (scaling.look_back_period_s !== undefined && scaling.look_back_period_s < (scaling.metrics_interval_s ?? 0)) {
    context.problem([...path, 'look_back_period_s'], `expected no less than metrics_interval_s (${scaling.metrics_interval_s ?? 0})`);
  }
  if (scaling.metrics_interval_s !== undefined) {
    context.warning([...path, 'metrics_interval_s'], 'accepted, no effect here: load is counted where it is, not reported');
  }
  for (const [key, instead] of Object.entries(renamed)) {
    if (scaling[key as keyof typeof renamed] === undefined) continue;
    context.warning([...path, key], `Ray renamed it, and it still counts here: write ${instead}`);
  }
}

function checkIdle({ deployment_config: deployment, gateway }: ModelEntry, path: ConfigPath, context: ResolveContext): void {
  const scaling = deployment.autoscaling_config;
  const here = [...path, 'gateway', 'idle'];
  const { sleep_s: sleepS, stop_s: stopS } = gateway.idle ?? {};
  if (sleepS !== undefined && stopS !== undefined && sleepS >= stopS)
    context.problem([...here, 'sleep_s'], `expected less than stop_s (${stopS}), got ${sleepS}`);
  if (sleepS !== undefined && gateway.upstreams !== undefined)
    context.problem([...here, 'sleep_s'], 'beside upstreams, which others run; expected only one of them', 'key');
  if ((scaling?.min_replicas ?? 0) > 0) {
    context.problem(here, `has no effect beside min_replicas ${scaling?.min_replicas}; expected min_replicas: 0`, 'key');
  }
  if (scaling?.downscale_to_zero_delay_s !== undefined && scaling.downscale_to_zero_delay_s !== null) {
    context.problem(here, 'beside downscale_to_zero_delay_s; expected only one of them', 'key');
  }
}
