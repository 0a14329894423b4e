import { createHash } from 'node:crypto';
import type { Config, ModelConfig } from '../config/config.ts';
import { isMapping } from '../core/json.ts';
import type { EnginePlugin, ModelTraits } from '../plugins/engine-plugin.ts';
import { commandLineOf, placeholders } from './command-line.ts';

/** By the key of the config that a value comes from. */
export type Facts = Readonly<Record<string, unknown>>;

const below = (prefix: string, record: Facts): Facts =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [`${prefix}.${key}`, value]));

/** The keys that a new trait comes from must be listed here: until they are, this does not compile. */
function traitFacts({ tokenizerSource, lora, sleeps, ...others }: ModelTraits): Facts {
  const none: Readonly<Record<string, never>> = others;
  return { 'model_loading_config.tokenizer_source': tokenizerSource, lora_config: lora, 'gateway.idle.sleep_s': sleeps, ...none };
}

/** All of the config that makes a model's process what it is: while none of it changes, the process stays. */
export function processFacts(model: ModelConfig, commands: Config['engineCommands']): Facts {
  return {
    'model_loading_config.model_source': model.source,
    llm_engine: model.engine,
    'gateway.gpus': model.gpus,
    'gateway.command': model.command,
    [`gateway.engines.${model.engine}.command`]: model.command === undefined ? commands.get(model.engine) : undefined,
    'gateway.upstreams': model.upstreams,
    ...traitFacts(model.traits),
    ...below('engine_kwargs', model.engineOptions),
    ...below('runtime_env.env_vars', model.env),
  };
}

/** Mappings with their keys in order, so that a config written in another order is the same config. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  return isMapping(value) ? orderedRecord(value) : value;
}

function orderedRecord(record: Facts): Facts {
  const entries = Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, ordered(value)]));
}

/**
 * Equal for two configs exactly when their replicas would be the same process: by what the config says, and by the command line that
 * the plugin makes of it, so that a gateway of another version does not take over what it would start differently. A digest, because it
 * is written to disk, and the environment may hold secrets.
 */
export function fingerprintOf(model: ModelConfig, commands: Config['engineCommands'], plugin: EnginePlugin): string {
  // The options in order here too: arguments follow the order they are written in.
  const engine = plugin.configure(orderedRecord(model.engineOptions), model.traits);
  const { args, env } = commandLineOf(model, engine, placeholders);
  const facts = { ...processFacts(model, commands), executable: engine.executable, args, env };
  return createHash('sha256')
    .update(JSON.stringify(ordered(facts)))
    .digest('hex');
}
