import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { GatewayError, messageOf } from '../core/errors.ts';
import { isMapping } from '../core/json.ts';
import { type Engine, type EnginePlugin, EngineOptionError, type OptionProblem } from './engine-plugin.ts';

/** What an engine must have, by JavaScript's type: a plugin in JavaScript is checked by nobody else. */
const members: Readonly<Record<string, string>> = {
  executable: 'string',
  install: 'string',
  command: 'function',
  concurrency: 'number',
  needs: 'object',
  notes: 'object',
  probes: 'object',
  readServedModels: 'function',
  metricsPath: 'string',
  countersProveHang: 'boolean',
  readMetrics: 'function',
  readLog: 'function',
  stopping: 'object',
};

function isProblem(value: unknown): value is OptionProblem {
  return isMapping(value) && Array.isArray(value['path']) && typeof value['message'] === 'string';
}

/** The problems that a plugin's own error names: it may come of another copy of this package, so that its class tells nothing. */
function problemsOf(thrown: unknown): readonly OptionProblem[] {
  const problems: unknown = isMapping(thrown) ? thrown['problems'] : undefined;
  if (Array.isArray(problems) && problems.length > 0 && problems.every(isProblem)) return problems;
  return [{ path: [], message: messageOf(thrown) }];
}

/** A plugin whose mistakes are mistakes of the config, and not defects of the gateway. */
function guarded(plugin: EnginePlugin): EnginePlugin {
  const { name } = plugin;
  return {
    name,
    dialect: plugin.dialect,
    configure(options, traits) {
      let engine: Engine;
      try {
        engine = plugin.configure(options, traits);
      } catch (thrown) {
        throw new EngineOptionError(name, problemsOf(thrown));
      }
      const wrong = Object.entries(members).find(([member, type]) => !isMapping(engine) || typeof Reflect.get(engine, member) !== type);
      if (wrong === undefined) return engine;
      throw new EngineOptionError(name, [{ path: [], message: `the plugin of ${name} is at fault: ${wrong[0]} must be a ${wrong[1]}` }]);
    },
  };
}

function isPlugin(value: unknown): value is EnginePlugin {
  if (!isMapping(value) || typeof value['configure'] !== 'function' || typeof value['name'] !== 'string') return false;
  const { dialect } = value;
  return isMapping(dialect) && typeof dialect['toEngine'] === 'function' && typeof dialect['readError'] === 'function';
}

/**
 * Imports a module whose default export is an engine's plugin.
 * @param url `file:` URL
 * @throws GatewayError `config_invalid`
 */
export async function importEngine(url: string): Promise<EnginePlugin> {
  let found: unknown;
  try {
    found = ((await import(url)) as { readonly default?: unknown }).default;
  } catch (thrown) {
    throw notImported(thrown);
  }
  return checked(found);
}

/**
 * The same at once, for a module without an `await` at its top level; it is imported once, however it is asked for.
 * @throws GatewayError `config_invalid`
 */
export function requireEngine(url: string): EnginePlugin {
  let found: unknown;
  try {
    const module: unknown = createRequire(import.meta.url)(fileURLToPath(url));
    found = types.isModuleNamespaceObject(module) ? (module as { readonly default?: unknown }).default : module;
  } catch (thrown) {
    throw notImported(thrown);
  }
  return checked(found);
}

function notImported(thrown: unknown): GatewayError {
  return new GatewayError('config_invalid', `cannot be imported: ${messageOf(thrown)}`, { cause: thrown });
}

/** @throws GatewayError `config_invalid` */
function checked(found: unknown): EnginePlugin {
  if (!isPlugin(found))
    throw new GatewayError(
      'config_invalid',
      'its default export is no engine; expected { name, dialect: { toEngine, readError }, configure }',
    );
  if (!/^[a-z][a-z0-9_-]*$/.test(found.name))
    throw new GatewayError(
      'config_invalid',
      `its engine is called ${JSON.stringify(found.name)}; expected lower-case letters, digits, _ and -`,
    );
  return guarded(found);
}

/** The engines known, and those of the modules. @throws GatewayError `config_invalid` */
export async function withEngines(
  known: ReadonlyMap<string, EnginePlugin>,
  urls: readonly string[],
): Promise<ReadonlyMap<string, EnginePlugin>> {
  const added = await Promise.all(urls.map(importEngine));
  return new Map([...known, ...added.map((plugin) => [plugin.name, plugin] as const)]);
}
