import { isAbsolute, join } from 'node:path';

/** Loaded before all else by the command line: of this project it may import nothing. */

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a gateway keeps its state unless `gateway.state_dir` says otherwise. */
export function defaultStateDir(env: Environment, homeDir: string): string {
  return join(xdgDir(env['XDG_STATE_HOME']) ?? join(homeDir, '.local/state'), 'roundhouse');
}

/** Where a gateway keeps the models that it fetched unless `gateway.cache.dir` says otherwise. */
export function modelCacheDir(stateDir: string): string {
  return join(stateDir, 'models');
}

/** Where copies are kept that can be made again. */
export function defaultCacheDir(env: Environment, homeDir: string): string {
  return join(userCacheDir(env, homeDir), 'roundhouse');
}

/** Where programs keep such copies, by the XDG base directory specification; engines, what they download. */
export function userCacheDir(env: Environment, homeDir: string): string {
  return xdgDir(env['XDG_CACHE_HOME']) ?? join(homeDir, '.cache');
}

/** The XDG base directory specification: a relative value is invalid and to be ignored. */
const xdgDir = (value: string | undefined): string | undefined => (value !== undefined && isAbsolute(value) ? value : undefined);
