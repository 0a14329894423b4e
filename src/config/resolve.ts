import { boardSlots } from '../core/board.ts';
import type { ModelName } from '../core/ids.ts';
import type { Config, ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import { tellOpenApi } from './exposure.ts';
import { isMapping } from '../core/json.ts';
import { formatPath, type ConfigPath } from './problems.ts';
import { resolveGateway } from './resolve-gateway.ts';
import { type ApplicationKey, resolveAccess } from './resolve-keys.ts';
import { resolveEnv, resolveModel, type ModelDefaults } from './resolve-model.ts';
import { applicationHeadSchema, defaultBuilder, gatewaySchema, httpOptionsSchema, modelSchema } from './schema.ts';
import { salvage } from './validate.ts';

/** Models that clients reach under one route prefix. */
interface App {
  /** `''` for the root. */
  readonly prefix: string;
  readonly env: Readonly<Record<string, string>>;
  /** `args.api_key` */
  readonly key?: ApplicationKey | undefined;
  readonly entries: readonly { readonly path: ConfigPath; readonly raw: unknown }[];
}

export interface Resolved {
  readonly config: Config;
  /** Where each model's entry of `llm_configs` is. */
  readonly entries: ReadonlyMap<ModelName, ConfigPath>;
}

/**
 * The file's value → the config. Every rule that the schema cannot express is checked here and its breach told to the context; the
 * value may have mistakes (already told): what they touch is left out. The result is of use only if nothing was told.
 */
export function resolveConfig(value: unknown, files: readonly string[], context: ResolveContext): Resolved {
  const root = isMapping(value) ? value : {};
  const gateway = salvage(gatewaySchema, root['gateway'] ?? {}) ?? gatewaySchema.parse({});
  const http = salvage(httpOptionsSchema, root['http_options'] ?? {}) ?? {};
  const located: Located[] = [];
  const served = new Map<string, Map<string, ModelName>>();
  const seen = new Map<string, ConfigPath>();
  const apps = resolveApps(root, context);
  for (const app of apps) {
    const own = resolveModels(app, { gateway, env: app.env }, seen, context);
    located.push(...own);
    claimAliases(own, context);
    served.set(app.prefix, new Map(own.flatMap(({ model }) => [model.name, ...model.aliases].map((name) => [name, model.name] as const))));
  }
  const models = located.map(({ model }) => model);
  const access = resolveAccess(
    gateway.keys ?? [],
    apps.flatMap(({ key }) => key ?? []),
    served,
    context,
  );
  const settings = resolveGateway(gateway, http, access, context);
  tellOpenApi(gateway, settings.listen, access, served, context);
  checkBoard(located, context);
  checkPortCount(models, settings.enginePorts.count, context);
  const entries = new Map(located.map(({ model, path }) => [model.name, path]));
  return { config: { files, ...settings, models, apps: served }, entries };
}

interface Located {
  readonly model: ModelConfig;
  readonly path: ConfigPath;
}

/** An alias is a name like an id: one in its application, so that it never depends on the order of the models whom it means. */
function claimAliases(models: readonly Located[], context: ResolveContext): void {
  const seen = new Map<string, ConfigPath>(models.map(({ model, path }) => [model.name, path]));
  for (const { model, path } of models) {
    for (const [at, alias] of model.aliases.entries()) {
      const first = seen.get(alias);
      if (first === undefined) seen.set(alias, path);
      else {
        const message = `${JSON.stringify(alias)} is already the id or an alias of ${formatPath(first)}; expected a name of its own`;
        context.problem([...path, 'gateway', 'aliases', at], message);
      }
    }
  }
}

/** The entry with a stand-in for a model id that is missing or wrong, which has been told: the rest of it is still looked at. */
function named(raw: unknown, id: string): unknown {
  if (!isMapping(raw) || Object.keys(raw).length === 0) return raw;
  const loading = isMapping(raw['model_loading_config']) ? raw['model_loading_config'] : {};
  return { ...raw, model_loading_config: { ...loading, model_id: id } };
}

function resolveModels(app: App, defaults: ModelDefaults, seen: Map<string, ConfigPath>, context: ResolveContext): Located[] {
  const models: Located[] = [];
  for (const { path, raw } of app.entries) {
    const entry = salvage(modelSchema, raw) ?? salvage(modelSchema, named(raw, formatPath(path)));
    if (entry === undefined) continue;
    const id = entry.model_loading_config.model_id;
    const first = seen.get(id);
    if (first !== undefined) {
      const idPath = [...path, 'model_loading_config', 'model_id'];
      context.problem(idPath, sameId(id, first, path));
    } else seen.set(id, path);
    models.push({ model: resolveModel(entry, path, defaults, context), path });
  }
  return models;
}

/**
 * Ray has deployments, and so ids, of their own in each application. Here a model goes by its id in status, metrics, logs and commands,
 * and the engine serves it under that name; an alias is what an application has to itself.
 */
function sameId(id: string, first: ConfigPath, again: ConfigPath): string {
  const taken = `the model id ${JSON.stringify(id)} is already that of ${formatPath(first)}`;
  if (first[0] !== 'applications' || first[1] === again[1]) return `${taken}; expected every model of the file to have its own`;
  return `${taken}, and names one model in status, metrics and logs; expected another id, with gateway.aliases: [${JSON.stringify(id)}] for clients`;
}

function resolveApps(root: Readonly<Record<string, unknown>>, context: ResolveContext): App[] {
  const { applications, llm_configs: models } = root;
  if (applications !== undefined && models !== undefined) {
    context.problem(['llm_configs'], 'the file has applications too; expected only one of them', 'key');
  }
  if (applications === undefined && models === undefined) {
    context.problem([], 'the file names no model; expected llm_configs, or applications with args.llm_configs');
  }
  const apps: App[] = [];
  if (Array.isArray(models)) apps.push({ prefix: '', env: {}, entries: listed(models as unknown[], ['llm_configs']) });
  const taken = { names: new Map<string, ConfigPath>(), prefixes: new Map<string, ConfigPath>() };
  for (const [index, raw] of Array.isArray(applications) ? (applications as unknown[]).entries() : []) {
    const app = isMapping(raw) ? resolveApp(raw, ['applications', index], taken, context) : undefined;
    if (app !== undefined) apps.push(app);
  }
  return apps;
}

interface Taken {
  readonly names: Map<string, ConfigPath>;
  readonly prefixes: Map<string, ConfigPath>;
}

function resolveApp(raw: Readonly<Record<string, unknown>>, path: ConfigPath, taken: Taken, context: ResolveContext): App | undefined {
  const { args, ...rest } = raw;
  const head = salvage(applicationHeadSchema, rest);
  if (head === undefined) return undefined;
  const builder = builderProblem(head.import_path);
  if (builder !== undefined) context.problem([...path, 'import_path'], builder);
  const entries = isMapping(args) ? resolveEntries(args, [...path, 'args'], builder === undefined, context) : [];
  claim(taken.names, head.name, [...path, 'name'], 'application name', context);
  const prefixPath = [...path, 'route_prefix'];
  const reason = prefixProblem(head.route_prefix);
  if (reason !== undefined) context.problem(prefixPath, reason);
  else claim(taken.prefixes, head.route_prefix ?? '', prefixPath, 'route prefix', context);
  const prefix = head.route_prefix === null || head.route_prefix === '/' ? '' : head.route_prefix;
  const key = isMapping(args) ? args['api_key'] : undefined;
  return {
    prefix,
    key: typeof key === 'string' ? { name: head.name, prefix, key, path: [...path, 'args', 'api_key'] } : undefined,
    env: resolveEnv(head.runtime_env.env_vars, [...path, 'runtime_env', 'env_vars'], context),
    entries,
  };
}

function listed(entries: readonly unknown[], path: ConfigPath): App['entries'] {
  return entries.map((raw, index) => ({ path: [...path, index], raw }));
}

/** `args` of one model (`llm_config`) or many. @param wanted whether there must be any: not where the builder takes something else */
function resolveEntries(
  args: Readonly<Record<string, unknown>>,
  path: ConfigPath,
  wanted: boolean,
  context: ResolveContext,
): App['entries'] {
  const { llm_configs: many, llm_config: one } = args;
  if (many !== undefined && one !== undefined) {
    context.problem([...path, 'llm_config'], 'beside llm_configs; expected only one of them', 'key');
  }
  if (many === undefined && one === undefined && wanted) {
    context.problem([...path, 'llm_configs'], 'missing; expected a list of at least one model');
  }
  return [
    ...(Array.isArray(many) ? listed(many as unknown[], [...path, 'llm_configs']) : []),
    ...(one === undefined ? [] : [{ path: [...path, 'llm_config'], raw: one }]),
  ];
}

const prefillDecode = 'prefill and decode on engines of their own are not supported; ';

/** Why an application of this builder cannot be served here; undefined where it can. */
function builderProblem(builder: string): string | undefined {
  const name = builder.split(/[:.]/).at(-1) ?? '';
  const instead = `expected ${defaultBuilder}, got ${JSON.stringify(builder)}`;
  // Where the builder for it stood before it had a public name.
  if (/^ray\.llm\._internal\..*prefill_decode/.test(builder)) return prefillDecode + instead;
  if (!/^ray\.serve\.llm[.:]/.test(builder)) return `Python code of your own is not run; ${instead}`;
  if (name === defaultBuilder.split(':')[1]) return undefined;
  if (name.includes('pd')) return prefillDecode + instead;
  if (name.includes('dp')) return `set data_parallel_size in engine_kwargs, or num_replicas, in place of this builder; ${instead}`;
  return `only the whole OpenAI-compatible app can be built; ${instead}`;
}

function claim(taken: Map<string, ConfigPath>, value: string, path: ConfigPath, what: string, context: ResolveContext): void {
  const first = taken.get(value);
  if (first === undefined) taken.set(value, path);
  else context.problem(path, `the ${what} ${JSON.stringify(value)} is already that of ${formatPath(first.slice(0, -1))}; expected another`);
}

/** Ray's rules for a prefix, and URL syntax: what a client's HTTP library would rewrite can never be reached. */
function prefixProblem(prefix: string | null): string | undefined {
  if (prefix === null) return 'null would leave the models unreachable; expected a path that begins with /';
  const got = `, got ${JSON.stringify(prefix)}`;
  if (!prefix.startsWith('/')) return `expected a path that begins with /${got}`;
  if (prefix !== '/' && prefix.endsWith('/')) return `expected a path that does not end in /${got}`;
  if (prefix !== '/' && !/^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+$/.test(prefix)) {
    return `expected segments of letters, digits, - . _ ~ with single slashes between them${got}`;
  }
  return undefined;
}

const replicasOf = ({ upstreams, replicas }: ModelConfig): number => (upstreams.length > 0 ? upstreams.length : replicas);

/** Each model and each replica has a column of the load board, or the last ones would wait for one for ever. */
function checkBoard(models: readonly Located[], context: ResolveContext): void {
  let count = 0;
  for (const { model, path } of models) {
    count += 1 + replicasOf(model);
    if (count <= boardSlots) continue;
    const message = `with this one the models and their replicas are ${count} or more; expected at most ${boardSlots} together in one gateway`;
    context.problem([...path, 'model_loading_config', 'model_id'], message);
    return;
  }
}

function checkPortCount(models: readonly ModelConfig[], ports: number, context: ResolveContext): void {
  const replicas = models.reduce((sum, model) => sum + (model.upstreams.length > 0 ? 0 : model.replicas), 0);
  if (replicas <= ports) return;
  context.problem(['gateway', 'engine_ports', 'count'], `${ports} ports for ${replicas} replicas; expected at least one port for each`);
}
