import { GatewayError } from '../core/errors.ts';
import { EngineOptionError, type Engine, type EnginePlugin, type ModelTraits } from '../plugins/engine-plugin.ts';
import type { ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';
import { knownEngine, unknownEngine } from './resolve-gateway.ts';
import { defaultEngine, type ModelEntry } from './schema.ts';

interface EngineConfig {
  readonly config: Pick<ModelConfig, 'engine' | 'traits' | 'gpus'>;
  /** Requests that one replica works on at once; undefined where the plugin does not take the options, which has been told. */
  readonly concurrency: number | undefined;
}

/** The engine of an entry, what its plugin says of the options, and the GPUs that a replica gets. */
export function resolveEngine(entry: ModelEntry, path: ConfigPath, context: ResolveContext): EngineConfig {
  const traits = resolveTraits(entry);
  const wanted = wantedEngine(entry, path, context);
  const name = knownEngine(wanted, context);
  const plugin = name === undefined ? undefined : context.engines.get(name);
  if (name === undefined || plugin === undefined) {
    const origin = entry.llm_engine === undefined ? `llm_engine is missing, which means ${defaultEngine}, as in Ray: ` : '';
    context.problem([...path, 'llm_engine'], origin + unknownEngine(wanted, context));
    return { config: { engine: wanted, traits, gpus: undefined }, concurrency: undefined };
  }
  const engine = configure(plugin, entry.engine_kwargs, traits, [...path, 'engine_kwargs'], context);
  if (traits.sleeps && engine !== undefined && engine.sleep === undefined)
    context.problem([...path, 'gateway', 'idle', 'sleep_s'], `${name} has no sleep mode that is used here; expected only stop_s`, 'key');
  const gpus = resolveGpus(entry, engine?.needs.gpus ?? 0, path, context);
  return { config: { engine: name, traits, gpus }, concurrency: engine?.concurrency };
}

/** Ray chooses an engine by its server class; ours are chosen by name. */
function wantedEngine(entry: ModelEntry, path: ConfigPath, context: ResolveContext): string {
  const here = [...path, 'server_cls'];
  const { server_cls: server, llm_engine: engine } = entry;
  if (server === undefined) return engine ?? defaultEngine;
  const className = /([A-Za-z0-9_]+)$/.exec(server)?.[1] ?? '';
  if (className === 'LLMServer') return engine ?? defaultEngine;
  const named = /^(\w+)Server$/.exec(className)?.[1];
  const known = named === undefined ? undefined : knownEngine(named, context);
  if (known === undefined) {
    const message = `${JSON.stringify(server)} is code of your own, which is not run; expected LLMServer or SGLangServer, or llm_engine`;
    context.problem(here, message, 'key');
    return engine ?? defaultEngine;
  }
  const differs = engine !== undefined && engine.toLowerCase() !== defaultEngine.toLowerCase() && engine.toLowerCase() !== known;
  if (differs) context.problem(here, `${className} beside llm_engine ${JSON.stringify(engine)}; expected only one of them`, 'key');
  return known;
}

function resolveTraits(entry: ModelEntry): ModelTraits {
  const { lora_config: lora } = entry;
  const tokenizerSource = entry.model_loading_config.tokenizer_source;
  return {
    ...(tokenizerSource === undefined ? {} : { tokenizerSource }),
    ...(lora === undefined
      ? {}
      : { lora: { maxAdaptersPerReplica: lora.max_num_adapters_per_replica, ...(entry.gateway.gpus === 0 ? { cpu: true } : {}) } }),
    ...(entry.gateway.idle?.sleep_s === undefined ? {} : { sleeps: true }),
  };
}

/** Undefined where the plugin does not take the options, which has been told. */
function configure(
  plugin: EnginePlugin,
  options: Readonly<Record<string, unknown>>,
  traits: ModelTraits,
  path: ConfigPath,
  context: ResolveContext,
): Engine | undefined {
  try {
    const engine = plugin.configure(options, traits);
    for (const note of engine.notes) context.warning([...path, ...note.path], note.message);
    return engine;
  } catch (error) {
    if (error instanceof EngineOptionError && error.problems.length > 0) {
      for (const problem of error.problems) context.problem([...path, ...problem.path], problem.message, 'key');
    } else if (error instanceof GatewayError && error.code === 'config_invalid') {
      context.problem(path, error.message, 'key');
    } else throw error;
    return undefined;
  }
}

/** `gateway.gpus`, else what Ray's placement says where it can be told. @param needed what the engine's parallel sizes come to. */
function resolveGpus(entry: ModelEntry, needed: number, path: ConfigPath, context: ResolveContext): number | undefined {
  const { gpus } = entry.gateway;
  const placed = placedGpus(entry, path, context);
  const [given, here] = gpus === undefined ? [placed, [...path, 'placement_group_config']] : [gpus, [...path, 'gateway', 'gpus']];
  // None at all is an engine on the CPU, whose workers are processes.
  if (given !== undefined && given !== 0 && given < needed) {
    context.problem(
      here,
      `${given} GPU${given === 1 ? '' : 's'}, but the parallel sizes in engine_kwargs need ${needed}; expected as many`,
    );
  }
  return given;
}

function placedGpus(entry: ModelEntry, path: ConfigPath, context: ResolveContext): number | undefined {
  const here = [...path, 'placement_group_config'];
  const { placement_group_config: placement, accelerator_config: accelerator } = entry;
  const kind = accelerator?.kind?.toLowerCase();
  if (kind !== undefined && kind !== 'gpu' && kind !== 'cpu') {
    const message = `${kind.toUpperCase()}s are not supported; expected gpu or cpu, got ${JSON.stringify(kind)}`;
    context.problem([...path, 'accelerator_config', 'kind'], message);
  }
  if (accelerator !== undefined && Object.keys(accelerator).some((key) => key !== 'kind')) {
    context.warning([...path, 'accelerator_config'], 'accepted, no effect here but for kind: it concerns a Ray cluster');
  }
  if (placement?.bundles !== undefined && placement.bundle_per_worker !== undefined) {
    context.problem(here, 'both bundles and bundle_per_worker; expected only one of them', 'key');
  }
  if (placement?.strategy?.includes('SPREAD') === true) {
    context.warning([...here, 'strategy'], 'accepted, no effect here: a replica runs on one machine');
  }
  if (kind === 'cpu') return 0;
  if (placement?.bundle_per_worker !== undefined) return (placement.bundle_per_worker['GPU'] ?? 0) === 0 ? 0 : undefined;
  // Parts of a GPU: the engine's memory share says how much of it; 0.1 + 0.2 must not come to more than its sum.
  const sum = placement?.bundles?.reduce((total, bundle) => total + (bundle['GPU'] ?? 0), 0);
  return sum === undefined ? undefined : Math.ceil(sum - 1e-9);
}
