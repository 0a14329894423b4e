import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../core/errors.ts';
import { importEngine, requireEngine } from '../plugins/outside.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import { isMapping } from '../core/json.ts';
import type { LoadDeps } from './load.ts';
import { localPath } from './local-path.ts';
import { ConfigError, type ConfigPath } from './problems.ts';
import type { SourceTree } from './source-tree.ts';

/** A module that `gateway.plugins` names. `url` is undefined where there is no such package. */
export interface EngineModule {
  readonly url: string | undefined;
  readonly path: ConfigPath;
  readonly problem: string;
}

/** `./…`, `../…`, `/…` and `~/…` are files; all else is a package, looked for as `require` does from `directory` on. */
export function engineModule(name: string, at: number, directory: string, homeDir: string): EngineModule {
  const path = ['gateway', 'plugins', at];
  const file = localPath(name, directory, homeDir);
  if (file !== undefined) return { url: pathToFileURL(file).href, path, problem: '' };
  try {
    return { url: pathToFileURL(createRequire(join(directory, 'config')).resolve(name)).href, path, problem: '' };
  } catch (thrown) {
    return { url: undefined, path, problem: `there is no package ${JSON.stringify(name)}: ${messageOf(thrown).split('\n')[0] ?? ''}` };
  }
}

/** What `gateway.plugins` of a config names; nothing where it is not what it should be, which is told where the config is checked. */
function modulesIn(whole: unknown, directoryOf: (path: ConfigPath) => string, homeDir: string): readonly EngineModule[] {
  const gateway: unknown = isMapping(whole) ? whole['gateway'] : undefined;
  const names: unknown = isMapping(gateway) ? gateway['plugins'] : undefined;
  if (!Array.isArray(names)) return [];
  return names.flatMap((name: unknown, at) =>
    typeof name === 'string' && name !== '' ? [engineModule(name, at, directoryOf(['gateway', 'plugins', at]), homeDir)] : [],
  );
}

function modulesOf(tree: SourceTree, homeDir: string): readonly EngineModule[] {
  return modulesIn(tree.read(), (path) => tree.directoryOf(path), homeDir);
}

/**
 * The engines a config may name: those given and those of the modules in its `gateway.plugins`, which are imported. To be asked before
 * `loadConfig`, which checks `llm_engine` by them.
 * @throws ConfigError with each module that is no engine, by its place.
 */
export async function loadEngines(
  tree: SourceTree,
  { engines, homeDir }: Pick<LoadDeps, 'engines' | 'homeDir'>,
): Promise<ReadonlyMap<string, EnginePlugin>> {
  const modules = modulesOf(tree, homeDir);
  const told = tree.problems.length;
  const all = new Map(engines);
  for (const { url, path, problem } of modules) {
    if (url === undefined) {
      tree.problem(path, problem);
      continue;
    }
    try {
      const plugin = await importEngine(url);
      if (all.has(plugin.name)) tree.problem(path, `there is an engine ${JSON.stringify(plugin.name)} already; expected another name`);
      else all.set(plugin.name, plugin);
    } catch (thrown) {
      tree.problem(path, `${url}: ${messageOf(thrown)}`);
    }
  }
  if (tree.problems.length > told) throw new ConfigError(tree.problems.slice(told));
  return all;
}

/** The same for a config that a program built: the modules are imported at once. `problem` is told of each that is no engine. */
export function requireEngines(
  config: unknown,
  directory: string,
  { engines, homeDir }: Pick<LoadDeps, 'engines' | 'homeDir'>,
  problem: (path: ConfigPath, message: string) => void,
): ReadonlyMap<string, EnginePlugin> {
  const all = new Map(engines);
  for (const { url, path } of modulesIn(config, () => directory, homeDir)) {
    // A package that is not there is told where the config is resolved.
    if (url === undefined) continue;
    try {
      const plugin = requireEngine(url);
      if (all.has(plugin.name)) problem(path, `there is an engine ${JSON.stringify(plugin.name)} already; expected another name`);
      else all.set(plugin.name, plugin);
    } catch (thrown) {
      problem(path, `${url}: ${messageOf(thrown)}`);
    }
  }
  return all;
}

/** @throws ConfigError where the files name a module that is not among those that were loaded when the gateway started. */
export function refuseNewEngines(tree: SourceTree, loaded: readonly string[], homeDir: string): void {
  const fresh = modulesOf(tree, homeDir).filter(({ url }) => url === undefined || !loaded.includes(url));
  if (fresh.length === 0) return;
  const told = tree.problems.length;
  for (const { path } of fresh) tree.problem(path, 'a plugin is loaded when the gateway starts; stop the gateway and start it again');
  throw new ConfigError(tree.problems.slice(told));
}
