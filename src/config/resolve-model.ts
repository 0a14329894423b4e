import { resolve } from 'node:path';
import { GatewayError } from '../core/errors.ts';
import { modelName } from '../core/ids.ts';
import { EngineOptionError, type EnginePlugin } from '../plugins/engine-plugin.ts';
import type { ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import { localPath } from './local-path.ts';
import type { ConfigPath } from './problems.ts';
import { knownEngine, milliseconds, unknownEngine } from './resolve-gateway.ts';
import { defaultEngine, type GatewayEntry, type ModelEntry } from './schema.ts';

export interface ModelDefaults {
  readonly timeouts: GatewayEntry['timeouts'];
  /** The application's `runtime_env.env_vars`; a model's own stand above them. */
  readonly env: Readonly<Record<string, string>>;
}

/** One entry of `llm_configs`. What is wrong is told to the context; the result is of use only if nothing was. */
export function resolveModel(entry: ModelEntry, path: ConfigPath, defaults: ModelDefaults, context: ResolveContext): ModelConfig {
  const timeouts = { ...defaults.timeouts, ...given(entry.gateway.timeouts) };
  const deployment = entry.deployment_config;
  const drainS = entry.gateway.timeouts.drain_s ?? deployment.graceful_shutdown_timeout_s ?? defaults.timeouts.drain_s;
  return {
    name: modelName(entry.model_loading_config.model_id),
    source: resolveSource(entry, path, context),
    engine: resolveEngine(entry, path, context),
    engineOptions: entry.engine_kwargs,
    env: { ...defaults.env, ...resolveEnv(entry.runtime_env.env_vars, [...path, 'runtime_env', 'env_vars'], context) },
    replicas: resolveReplicas(deployment, [...path, 'deployment_config'], context),
    aliases: [],
    gpus: undefined,
    acceleratorType: undefined,
    priority: 0,
    command: undefined,
    traits: {},
    upstreams: [],
    maxOngoing: deployment.max_ongoing_requests,
    routing: { kind: 'least-in-flight' },
    limits: {
      maxWaiting: deployment.max_queued_requests,
      queueTimeoutMs: milliseconds(timeouts.queue_s),
      firstByteTimeoutMs: milliseconds(timeouts.first_byte_s),
      idleTimeoutMs: milliseconds(timeouts.idle_s),
    },
    startupTimeoutMs: milliseconds(timeouts.startup_s),
    health: {
      periodMs: milliseconds(deployment.health_check_period_s),
      timeoutMs: milliseconds(deployment.health_check_timeout_s),
    },
    drainTimeoutMs: milliseconds(drainS),
  };
}

/** Environment variables for an engine, those that no process could be given reported. */
export function resolveEnv(
  env: Readonly<Record<string, string>> = {},
  path: ConfigPath,
  context: ResolveContext,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name))
      context.problem([...path, name], 'expected the name of an environment variable, without =', 'key');
    else if (value.includes('\0')) context.problem([...path, name], 'the value has a zero byte; expected text');
  }
  return env;
}

function given<T extends object>(settings: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

function resolveEngine(entry: ModelEntry, path: ConfigPath, context: ResolveContext): string {
  const wanted = entry.llm_engine ?? defaultEngine;
  const name = knownEngine(wanted, context);
  const plugin = name === undefined ? undefined : context.engines.get(name);
  if (name === undefined || plugin === undefined) {
    const origin = entry.llm_engine === undefined ? `llm_engine is missing, which means ${defaultEngine}, as in Ray: ` : '';
    context.problem([...path, 'llm_engine'], origin + unknownEngine(wanted, context));
    return wanted;
  }
  checkOptions(plugin, entry.engine_kwargs, [...path, 'engine_kwargs'], context);
  return name;
}

function checkOptions(plugin: EnginePlugin, options: Readonly<Record<string, unknown>>, path: ConfigPath, context: ResolveContext): void {
  try {
    plugin.configure(options);
  } catch (error) {
    if (error instanceof EngineOptionError && error.problems.length > 0) {
      for (const problem of error.problems) context.problem([...path, ...problem.path], problem.message, 'key');
    } else if (error instanceof GatewayError && error.code === 'config_invalid') {
      context.problem(path, error.message, 'key');
    } else throw error;
  }
}

function resolveSource(entry: ModelEntry, path: ConfigPath, context: ResolveContext): ModelConfig['source'] {
  const { model_id: id, model_source: source } = entry.model_loading_config;
  const here = [...path, 'model_loading_config', 'model_source'];
  if (source === undefined) return { kind: 'reference', value: id };
  if (typeof source !== 'string' || /^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    const what = typeof source === 'string' ? JSON.stringify(source) : 'a mapping (bucket_uri)';
    context.problem(
      here,
      `${what} is not supported in this version; expected a local path (download the model first), or a name the engine resolves itself`,
    );
    return { kind: 'reference', value: id };
  }
  const directory = context.directoryOf(here);
  const local = localPath(source, directory, context.homeDir);
  if (local !== undefined) {
    if (!context.exists(local)) context.problem(here, `there is no file or directory ${JSON.stringify(local)}`);
    return { kind: 'path', value: local };
  }
  if (context.exists(resolve(directory, source))) {
    context.warning(
      here,
      `taken as a name that the engine resolves itself; for the local file of that name write ${JSON.stringify(`./${source}`)}`,
    );
  }
  return { kind: 'reference', value: source };
}

function resolveReplicas(deployment: ModelEntry['deployment_config'], path: ConfigPath, context: ResolveContext): number {
  const { num_replicas: count, autoscaling_config: scaling } = deployment;
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
