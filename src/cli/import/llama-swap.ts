import { Document } from 'yaml';
import { z } from 'zod';
import { EngineOptionError, type EnginePlugin } from '../../plugins/engine-plugin.ts';
import { readCommand, type ReadCommand } from '../../plugins/command-reader.ts';
import { engineSetups } from '../../plugins/engine-setup.ts';
import { finish, type Imported, takeOut } from './imported.ts';
import { shellWords } from './shell-words.ts';

/**
 * The keys of llama-swap's config.yaml that mean something here (its config.example.yaml, November 2026). Others are looked at only to
 * say that they do not come along.
 */
const macrosSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const modelSchema = z.looseObject({
  cmd: z.string(),
  macros: macrosSchema.default({}),
  aliases: z.array(z.union([z.string(), z.looseObject({ id: z.string() }).transform(({ id }) => id)])).default([]),
  env: z.array(z.string()).default([]),
  ttl: z.number().default(-1),
  concurrencyLimit: z.number().default(0),
  timeouts: z.looseObject({ responseHeader: z.number().default(0) }).optional(),
});
export const llamaSwapSchema = z.looseObject({
  models: z.record(z.string(), modelSchema),
  macros: macrosSchema.default({}),
  healthCheckTimeout: z.number().default(120),
  globalTTL: z.number().default(0),
  startPort: z.number().optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional().catch(undefined),
});
type LlamaSwapModel = z.infer<typeof modelSchema>;

/** Why a key does not come along, where there is more to say than that. */
const reasons: Readonly<Record<string, string>> = {
  proxy: 'a replica gets an address of its own',
  checkEndpoint: 'an engine is ready when its own readiness route says so',
  cmdStop: 'an engine is stopped with SIGTERM, then SIGKILL to its process group',
  useModelName: 'an engine serves its model under the id that clients use',
  groups: 'all models run side by side; give those that must not share GPUs fewer, or a priority',
  matrix: 'all models run side by side; give those that must not share GPUs fewer, or a priority',
  apiKeys: 'ATTENTION: requests are served without a key in this version; keep the listener on loopback',
  hooks: 'all models start with the gateway',
};
const quietly = new Set([
  'models',
  'macros',
  'healthCheckTimeout',
  'globalTTL',
  'startPort',
  'logLevel',
  ...Object.keys(modelSchema.shape),
]);

/** A variable of the environment within a text, until `${` has been escaped: control characters cannot stand in a command. */
const [opens, closes] = ['\u0001', '\u0002'];

type Entry = Readonly<Record<string, unknown>>;

/** llama-swap's config → ours. Each command becomes an engine and its options; one that starts no engine known here is left out. */
export function importLlamaSwap(config: z.infer<typeof llamaSwapSchema>, engines: ReadonlyMap<string, EnginePlugin>): Imported {
  const left = unknownKeys(config, '');
  const entries: Entry[] = [];
  for (const [id, model] of Object.entries(config.models)) {
    const result = importModel(id, model, config, engines);
    if (result.entry !== undefined) entries.push(result.entry);
    left.push(...result.left.map((line) => `models.${id}${line}`), ...unknownKeys(model, `models.${id}.`));
  }
  const gateway = {
    timeouts: { startup_s: Math.max(15, config.healthCheckTimeout) },
    ...(config.startPort !== undefined && { engine_ports: { first: config.startPort } }),
    ...(config.logLevel !== undefined && { log: { level: config.logLevel } }),
  };
  const document = new Document({ llm_configs: entries, gateway }, { compat: 'yaml-1.1' });
  left.push(...takeOut(document));
  return finish(document, 'llama-swap', left);
}

function unknownKeys(mapping: Readonly<Record<string, unknown>>, prefix: string): string[] {
  const keys = Object.keys(mapping).filter((key) => !quietly.has(key));
  return keys.map((key) => `${prefix}${key}: ${reasons[key] ?? 'no counterpart'}`);
}

function importModel(
  id: string,
  model: LlamaSwapModel,
  config: z.infer<typeof llamaSwapSchema>,
  engines: ReadonlyMap<string, EnginePlugin>,
): { readonly entry: Entry | undefined; readonly left: readonly string[] } {
  const macros = { ...config.macros, ...model.macros, MODEL_ID: id };
  const words = shellWords(expand(model.cmd, macros));
  if (words === undefined) return { entry: undefined, left: ['.cmd: a quote is not closed; the model is left out'] };
  const { env, argv } = takeEnv(words);
  const read = readCommand(argv);
  const plugin = read === undefined ? undefined : engines.get(read.engine);
  if (read === undefined || plugin === undefined) {
    return {
      entry: undefined,
      left: [`.cmd: ${JSON.stringify(argv[0] ?? '')} starts no engine that is known here; the model is left out`],
    };
  }
  const { options, dropped } = acceptable(plugin, read.options);
  const { variables, gpus, gone } = environment([...model.env.map((line) => expand(line, macros)), ...env]);
  const ttl = model.ttl >= 0 ? model.ttl : config.globalTTL;
  const entry = {
    model_loading_config: { model_id: id, ...(read.model !== undefined && { model_source: sourceOf(read) }) },
    llm_engine: engineSetups.get(read.engine)?.label ?? read.engine,
    ...(Object.keys(options).length > 0 && { engine_kwargs: options }),
    ...deployment(model, ttl),
    ...(Object.keys(variables).length > 0 && { runtime_env: { env_vars: variables } }),
    ...overrides(model, read, gpus),
  };
  const left = [...dropped, ...read.stray.map((word) => `.cmd: ${JSON.stringify(word)} belongs to no option`), ...gone];
  return { entry: escaped(entry) as Entry, left };
}

/** `${env.NAME}` first, then macros, which may hold macros; what is unknown stays. */
function expand(text: string, macros: Readonly<Record<string, string | number | boolean>>): string {
  let expanded = text;
  // Deep enough for any config that a person wrote; a macro that holds itself ends.
  for (let depth = 0; depth < 16; depth += 1) {
    const next = expanded
      .replaceAll(/\$\{env\.([A-Za-z_]\w*)\}/g, `${opens}$1${closes}`)
      .replaceAll(/\$\{([\w-]+)\}/g, (match, name: string) => (Object.hasOwn(macros, name) ? String(macros[name]) : match));
    if (next === expanded) break;
    expanded = next;
  }
  return expanded;
}

/** `env A=1 B=2 command …` and `A=1 command …`. */
function takeEnv(words: readonly string[]): { readonly env: readonly string[]; readonly argv: readonly string[] } {
  const rest = words[0] === 'env' || words[0] === '/usr/bin/env' ? words.slice(1) : words;
  const at = rest.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  return at === -1 ? { env: rest, argv: [] } : { env: rest.slice(0, at), argv: rest.slice(at) };
}

interface Environment {
  readonly variables: Readonly<Record<string, string>>;
  /** How many GPUs `CUDA_VISIBLE_DEVICES` named. */
  readonly gpus: number | undefined;
  readonly gone: readonly string[];
}

function environment(lines: readonly string[]): Environment {
  const variables = Object.fromEntries(lines.map((line) => [line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1)] as const));
  const { CUDA_VISIBLE_DEVICES: devices, ...rest } = variables;
  if (devices === undefined) return { variables: rest, gpus: undefined, gone: [] };
  const gone = `.env: CUDA_VISIBLE_DEVICES=${devices}: the gateway gives each replica its GPUs: as many, whichever are free`;
  return { variables: rest, gpus: devices.split(',').filter((device) => device.trim() !== '').length, gone: [gone] };
}

/** The options that the engine's plugin takes; why it does not take the others. */
function acceptable(
  plugin: EnginePlugin,
  given: Readonly<Record<string, unknown>>,
): { readonly options: Readonly<Record<string, unknown>>; readonly dropped: readonly string[] } {
  try {
    plugin.configure(given);
    return { options: given, dropped: [] };
  } catch (error) {
    if (!(error instanceof EngineOptionError)) throw error;
    const faults = new Map(error.problems.map(({ path, message }) => [String(path[0]), message]));
    const options = Object.fromEntries(Object.entries(given).filter(([name]) => !faults.has(name)));
    if (Object.keys(options).length === Object.keys(given).length) throw error;
    const rest = acceptable(plugin, options);
    return { options: rest.options, dropped: [...[...faults].map(([name, message]) => `.cmd: ${name} ${message}`), ...rest.dropped] };
  }
}

/** A path that does not look like one is written so that it does. */
function sourceOf({ model }: ReadCommand): string | undefined {
  if (model === undefined || model.kind === 'reference') return model?.value;
  return model.value.startsWith(opens) || /^(?:\/|~|\.\.?\/)/.test(model.value) ? model.value : `./${model.value}`;
}

function deployment(model: LlamaSwapModel, ttl: number): Entry {
  const settings = {
    ...(ttl > 0 && { autoscaling_config: { min_replicas: 0, max_replicas: 1, downscale_to_zero_delay_s: ttl } }),
    ...(model.concurrencyLimit > 0 && { max_ongoing_requests: model.concurrencyLimit }),
  };
  return Object.keys(settings).length === 0 ? {} : { deployment_config: settings };
}

function overrides(model: LlamaSwapModel, { command }: ReadCommand, gpus: number | undefined): Entry {
  const firstByte = model.timeouts?.responseHeader ?? 0;
  const settings = {
    ...(model.aliases.length > 0 && { aliases: model.aliases }),
    ...(gpus !== undefined && { gpus }),
    ...(command !== undefined && { command }),
    ...(firstByte > 0 && { timeouts: { first_byte_s: firstByte } }),
  };
  return Object.keys(settings).length === 0 ? {} : { gateway: settings };
}

/** Text as our file writes it: `${` stands for itself, and only variables of the environment are filled in. */
function escaped(value: unknown): unknown {
  if (typeof value === 'string') {
    return value
      .replaceAll('${', () => '$${')
      .replaceAll(opens, () => '${')
      .replaceAll(closes, '}');
  }
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escaped(item)]));
}
