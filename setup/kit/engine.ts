import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { GatewayError, messageOf } from '../../src/core/errors.ts';
import { megabytes, step } from '../say.mjs';
import { publish } from '../staging.mjs';
import type { EngineRoute, Installed, Tools } from './engine-route.ts';
import { launcherText, readStamp, type Stamp } from './launcher.ts';
import { findOwnEngine, type OwnEngine } from './own-engine.ts';
import type { KitPaths } from './paths.ts';
import { sid } from './routes/sid.ts';
import { skulk } from './routes/skulk.ts';
import { xllamacpp } from './routes/xllamacpp.ts';
import { tryEngine } from './trial.ts';

/** In order of preference. */
const managedRoutes: readonly EngineRoute[] = [sid, skulk, xllamacpp];

/** Which engine to look for. */
export interface EngineChoice {
  readonly own: OwnEngine | undefined;
  readonly routes: readonly EngineRoute[];
}

/**
 * The user's own engine and the routes to others; `ROUNDHOUSE_ENGINE_ROUTES` (`path,sid,skulk,xllamacpp`) narrows and orders them.
 * @throws GatewayError `usage_invalid` for a route that there is not
 */
export function chooseEngine(env: NodeJS.ProcessEnv, kit: KitPaths): EngineChoice {
  const own = findOwnEngine(env, kit.directory);
  const named = env['ROUNDHOUSE_ENGINE_ROUTES'];
  if (named === undefined || named === '') return { own, routes: managedRoutes };
  const names = named.split(',').map((name) => name.trim());
  const routes = names
    .filter((name) => name !== 'path')
    .map((name) => {
      const route = managedRoutes.find((candidate) => candidate.name === name);
      if (route !== undefined) return route;
      const known = ['path', ...managedRoutes.map((candidate) => candidate.name)].join(', ');
      throw new GatewayError('usage_invalid', `ROUNDHOUSE_ENGINE_ROUTES names '${name}'; expected some of ${known}, with commas between`);
    });
  return { own: own?.route === 'path' && !names.includes('path') ? undefined : own, routes };
}

/** Whether the launcher there is the one that would be made now. Reads two files and runs nothing. */
export function engineReady(choice: EngineChoice, kit: KitPaths, narrowed: boolean): boolean {
  const stamp = existsSync(kit.server) ? readStamp(readFileSync(kit.server, 'utf8')) : undefined;
  if (stamp === undefined || identify(stamp.file, kit.directory) !== stamp.identity) return false;
  const { own, routes } = choice;
  if (own !== undefined) return stamp.file === own.file || (own.route === 'path' && stamp.passedOver === identify(own.file, kit.directory));
  return !narrowed || routes.some((route) => route.name === stamp.route);
}

/**
 * Makes the launcher of the first engine that works with the kit's model, which must be there.
 * @throws GatewayError `engine_missing` with every way tried, why it failed, and what to install
 */
export async function makeEngine(choice: EngineChoice, kit: KitPaths, tools: Tools): Promise<void> {
  const failures: string[] = [];
  const { own } = choice;
  if (own !== undefined) {
    try {
      await adoptOwn(own, kit, tools);
      return;
    } catch (thrown) {
      if (tools.signal.aborted) throw thrown;
      if (own.route === 'env') {
        throw new GatewayError(
          'engine_missing',
          `LLAMA_SERVER is ${own.file}, which does not work: ${messageOf(thrown)}. Unset it to have one found or fetched.`,
          { cause: thrown },
        );
      }
      failures.push(`PATH: ${messageOf(thrown)}`);
    }
  } else failures.push('PATH: no llama-server on it, and LLAMA_SERVER is not set');
  const passedOver = own === undefined ? '' : identify(own.file, kit.directory);
  for (const route of choice.routes) {
    const obstacle = route.obstacle(tools.machine);
    if (obstacle !== undefined) failures.push(`${route.name}: ${obstacle}`);
    else {
      try {
        await fetchEngine(route, passedOver, kit, tools);
        return;
      } catch (thrown) {
        if (tools.signal.aborted) throw thrown;
        failures.push(`${route.name}: ${messageOf(thrown)}`);
      }
    }
  }
  throw new GatewayError('engine_missing', nothingFound(failures));
}

function nothingFound(failures: readonly string[]): string {
  return [
    'there is no llama-server, and none could be fetched:',
    ...failures.map((failure) => `  ${failure}`),
    'Install llama.cpp, so that llama-server is on PATH (`brew install llama.cpp` on macOS and Linux, `nix profile install nixpkgs#llama-cpp`,',
    "or the project's release archive), or set LLAMA_SERVER to the path of one; or install Python 3.10 or newer with pip. Then run this again.",
  ].join('\n');
}

async function adoptOwn(own: OwnEngine, kit: KitPaths, tools: Tools): Promise<void> {
  const title = own.route === 'env' ? `llama-server from LLAMA_SERVER, ${own.file}` : `llama-server on PATH, ${own.file}`;
  const launch = { words: [{ kind: 'text', text: own.file }], env: {} } as const;
  await step(
    title,
    () => showLauncher({ launch, file: own.file, downloadedBytes: 0 }, { route: own.route, passedOver: '' }, kit, tools),
    (version) => version,
  );
}

async function fetchEngine(route: EngineRoute, passedOver: string, kit: KitPaths, tools: Tools): Promise<void> {
  const work = async (): Promise<string> => {
    const installed = await route.install(tools);
    const version = await showLauncher(installed, { route: route.name, passedOver }, kit, tools);
    return `${version}, ${megabytes(installed.downloadedBytes)}`;
  };
  await step(route.title, work, (result) => result);
}

/** Tries the launcher in the stage, which is laid out like the kit, then shows the engine and last the launcher. Returns the engine's version. */
async function showLauncher(
  installed: Installed,
  origin: Pick<Stamp, 'route' | 'passedOver'>,
  kit: KitPaths,
  { stage, signal }: Tools,
): Promise<string> {
  const launcher = join(stage, 'llama-server');
  writeFileSync(launcher, launcherText(installed.launch, { ...origin, file: installed.file, identity: identify(installed.file, stage) }));
  chmodSync(launcher, 0o755);
  const version = await tryEngine(launcher, kit.model, signal);
  const directory = `engine-${origin.route}`;
  if (existsSync(join(stage, directory))) publish(join(stage, directory), join(kit.directory, directory));
  publish(launcher, kit.server);
  return version;
}

/** Tells a file from what may later stand in its place; empty if there is none. */
function identify(file: string, directory: string): string {
  const found = statSync(resolve(directory, file), { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.size} ${found.mtimeMs} ${file}`;
}
