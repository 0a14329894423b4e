import type { ModelName } from '../core/ids.ts';
import type { Config, ModelConfig } from './config.ts';
import type { ResolveContext } from './context.ts';
import { isMapping } from './fit.ts';
import { formatPath, type ConfigPath } from './problems.ts';
import { resolveGateway } from './resolve-gateway.ts';
import { resolveEnv, resolveModel, type ModelDefaults } from './resolve-model.ts';
import { applicationHeadSchema, gatewaySchema, httpOptionsSchema, modelSchema } from './schema.ts';
import { salvage } from './validate.ts';

/** Models that clients reach under one route prefix. */
interface App {
  /** `''` for the root. */
  readonly prefix: string;
  readonly env: Readonly<Record<string, string>>;
  readonly listPath: ConfigPath;
  readonly entries: readonly unknown[];
}

/**
 * The file's value → the config. Every rule that the schema cannot express is checked here and its breach told to the context; the
 * value may have mistakes (already told): what they touch is left out. The result is of use only if nothing was told.
 */
export function resolveConfig(value: unknown, file: string, context: ResolveContext): Config {
  const root = isMapping(value) ? value : {};
  const gateway = salvage(gatewaySchema, root['gateway'] ?? {}) ?? gatewaySchema.parse({});
  const http = salvage(httpOptionsSchema, root['http_options'] ?? {}) ?? {};
  const apps = resolveApps(root, context);
  const models: ModelConfig[] = [];
  const served = new Map<string, readonly ModelName[]>();
  const seen = new Map<string, ConfigPath>();
  for (const app of apps) {
    const own = resolveModels(app, { timeouts: gateway.timeouts, env: app.env }, seen, context);
    models.push(...own);
    served.set(
      app.prefix,
      own.map((model) => model.name),
    );
  }
  const settings = resolveGateway(gateway, http, context);
  checkPortCount(models, settings.enginePorts.count, context);
  return { file, ...settings, gpus: undefined, acceleratorMatch: 'warn', models, apps: served };
}

/** The entry with a stand-in for a model id that is missing or wrong, which has been told: the rest of it is still looked at. */
function named(raw: unknown, id: string): unknown {
  if (!isMapping(raw) || Object.keys(raw).length === 0) return raw;
  const loading = isMapping(raw['model_loading_config']) ? raw['model_loading_config'] : {};
  return { ...raw, model_loading_config: { ...loading, model_id: id } };
}

function resolveModels(app: App, defaults: ModelDefaults, seen: Map<string, ConfigPath>, context: ResolveContext): ModelConfig[] {
  const models: ModelConfig[] = [];
  for (const [index, raw] of app.entries.entries()) {
    const path = [...app.listPath, index];
    const entry = salvage(modelSchema, raw) ?? salvage(modelSchema, named(raw, formatPath(path)));
    if (entry === undefined) continue;
    const id = entry.model_loading_config.model_id;
    const first = seen.get(id);
    if (first !== undefined) {
      const idPath = [...path, 'model_loading_config', 'model_id'];
      context.problem(
        idPath,
        `the model id ${JSON.stringify(id)} is already that of ${formatPath(first)}; expected every model of the file to have its own`,
      );
    } else seen.set(id, path);
    models.push(resolveModel(entry, path, defaults, context));
  }
  return models;
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
  if (Array.isArray(models)) apps.push({ prefix: '', env: {}, listPath: ['llm_configs'], entries: models as unknown[] });
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
  const entries = isMapping(args) && Array.isArray(args['llm_configs']) ? (args['llm_configs'] as unknown[]) : [];
  claim(taken.names, head.name, [...path, 'name'], 'application name', context);
  const prefixPath = [...path, 'route_prefix'];
  const reason = prefixProblem(head.route_prefix);
  if (reason !== undefined) context.problem(prefixPath, reason);
  else claim(taken.prefixes, head.route_prefix ?? '', prefixPath, 'route prefix', context);
  return {
    prefix: head.route_prefix === null || head.route_prefix === '/' ? '' : head.route_prefix,
    env: resolveEnv(head.runtime_env.env_vars, [...path, 'runtime_env', 'env_vars'], context),
    listPath: [...path, 'args', 'llm_configs'],
    entries,
  };
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

function checkPortCount(models: readonly ModelConfig[], ports: number, context: ResolveContext): void {
  const replicas = models.reduce((sum, model) => sum + model.replicas, 0);
  if (replicas <= ports) return;
  context.problem(['gateway', 'engine_ports', 'count'], `${ports} ports for ${replicas} replicas; expected at least one port for each`);
}
