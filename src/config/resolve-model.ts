import { modelName } from '../core/ids.ts';
import { gpuMaskNames } from '../plugins/accelerators.ts';
import { acceleratorName, unknownAccelerator } from './accelerators.ts';
import type { ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import { withHubToken } from './hub-token.ts';
import type { ConfigPath } from './problems.ts';
import { resolveInputLimits } from './input-limits.ts';
import { resolveAdapters } from './resolve-adapters.ts';
import { resolveEngine } from './resolve-engine.ts';
import { executable, milliseconds } from './resolve-gateway.ts';
import { resolveReplicas } from './resolve-replicas.ts';
import { resolveRouting } from './resolve-routing.ts';
import { resolveSource } from './resolve-source.ts';
import { resolveUpstreams } from './resolve-upstreams.ts';
import type { GatewayEntry, ModelEntry } from './schema.ts';

export interface ModelDefaults {
  readonly gateway: GatewayEntry;
  /** The application's `runtime_env.env_vars`; a model's own stand above them. */
  readonly env: Readonly<Record<string, string>>;
}

/** One entry of `llm_configs`. What is wrong is told to the context; the result is of use only if nothing was. */
export function resolveModel(written: ModelEntry, path: ConfigPath, defaults: ModelDefaults, context: ResolveContext): ModelConfig {
  const entry = withHubToken(written, path, context);
  const { gateway } = defaults;
  const timeouts = { ...gateway.timeouts, ...given(entry.gateway.timeouts) };
  const deployment = entry.deployment_config;
  const drainS = entry.gateway.timeouts.drain_s ?? deployment.graceful_shutdown_timeout_s ?? gateway.timeouts.drain_s;
  const engine = resolveEngine(entry, path, context);
  const adapters = resolveAdapters(entry, path, context);
  return {
    name: modelName(entry.model_loading_config.model_id),
    source: resolveSource(entry, path, context),
    ...engine.config,
    engineOptions: entry.engine_kwargs,
    env: mergedEnv(entry, path, defaults, context),
    ...(adapters === undefined ? {} : { adapters }),
    ...resolveReplicas(entry, engine.concurrency, path, context),
    aliases: entry.gateway.aliases,
    acceleratorType: resolveAccelerator(entry, path, context),
    priority: entry.gateway.priority,
    command: resolveCommand(entry, path, context),
    uncheckedOptions: entry.gateway.unchecked_kwargs ?? gateway.unchecked_kwargs,
    upstreams: resolveUpstreams(entry, path, context),
    maxOngoing: deployment.max_ongoing_requests,
    routing: resolveRouting(entry, path, context),
    unsupportedParams: entry.gateway.unsupported_params ?? gateway.unsupported_params,
    input: {
      limits: resolveInputLimits(entry.gateway.limits, gateway.limits),
      allowed: entry.gateway.allowed_params ?? gateway.allowed_params ?? [],
    },
    resumeStreams: entry.gateway.resume_streams ?? gateway.resume_streams,
    limits: {
      maxWaiting: deployment.max_queued_requests,
      queueTimeoutMs: milliseconds(timeouts.queue_s),
      firstByteTimeoutMs: milliseconds(timeouts.first_byte_s),
      idleTimeoutMs: milliseconds(timeouts.idle_s),
    },
    startupTimeoutMs: milliseconds(timeouts.startup_s),
    hangTimeoutMs: milliseconds(timeouts.hang_s),
    health: {
      periodMs: milliseconds(deployment.health_check_period_s),
      timeoutMs: milliseconds(deployment.health_check_timeout_s),
    },
    drainTimeoutMs: milliseconds(drainS),
  };
}

const masks: ReadonlySet<string> = new Set(gpuMaskNames);

/** Environment variables for an engine; reported are those that no process could be given, and those that only the gateway sets. */
export function resolveEnv(
  env: Readonly<Record<string, string>> = {},
  path: ConfigPath,
  context: ResolveContext,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name))
      context.problem([...path, name], 'expected the name of an environment variable, without =', 'key');
    else if (masks.has(name))
      context.problem(
        [...path, name],
        "cannot be set: the gateway gives each replica its GPUs; expected how many in the model's gateway.gpus, or which ones in the gateway's own",
        'key',
      );
    else if (value.includes('\0')) context.problem([...path, name], 'the value has a zero byte; expected text');
  }
  return env;
}

function given<T extends object>(settings: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

function mergedEnv(entry: ModelEntry, path: ConfigPath, defaults: ModelDefaults, context: ResolveContext): ModelConfig['env'] {
  return {
    ...defaults.env,
    ...resolveEnv(entry.runtime_env.env_vars, [...path, 'runtime_env', 'env_vars'], context),
    ...resolveEnv(entry.gateway.env, [...path, 'gateway', 'env'], context),
  };
}

function resolveAccelerator(entry: ModelEntry, path: ConfigPath, context: ResolveContext): string | undefined {
  tellExperiments(entry, path, context);
  const { accelerator_type: written } = entry;
  if (written === undefined) return undefined;
  const name = acceleratorName(written);
  if (name === undefined) context.problem([...path, 'accelerator_type'], unknownAccelerator(written));
  return name;
}

function tellExperiments(entry: ModelEntry, path: ConfigPath, context: ResolveContext): void {
  for (const key of Object.keys(entry.experimental_configs ?? {})) {
    const hint = key === 'num_router_replicas' ? ' (Ray renamed it num_ingress_replicas)' : '';
    context.warning(
      [...path, 'experimental_configs', key],
      `accepted, no effect here: it tunes Ray's own ingress${hint}; see gateway.workers`,
    );
  }
}

function resolveCommand(entry: ModelEntry, path: ConfigPath, context: ResolveContext): ModelConfig['command'] {
  const { command } = entry.gateway;
  return command === undefined ? undefined : executable(command, context.directoryOf([...path, 'gateway', 'command']), context.homeDir);
}
