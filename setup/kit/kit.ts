import { chooseEngine, engineReady, makeEngine } from './engine.ts';
import type { Tools } from './engine-route.ts';
import { describeMachine } from './machine.ts';
import { fetchModel, modelReady } from './model.ts';
import { kitPaths, type KitPaths } from './paths.ts';
import { findPython, type Python } from './python.ts';
import { sweep, withStage } from '../staging.mjs';

/**
 * Makes sure of a real engine and a small real model in `.quickstart`. Says nothing, runs nothing and needs no network if they are there.
 * Aborting leaves what is finished and nothing half done.
 *
 * @throws GatewayError `engine_missing`, `artifact_unavailable`, with what to install
 */
export async function ensureKit(root: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<KitPaths> {
  const kit = kitPaths(root);
  const choice = chooseEngine(env, kit);
  sweep(kit.directory);
  const needsEngine = !engineReady(choice, kit, (env['ROUNDHOUSE_ENGINE_ROUTES'] ?? '') !== '');
  const needsModel = !modelReady(kit);
  if (!needsEngine && !needsModel) return kit;
  await withStage(kit.directory, async (stage) => {
    const machine = describeMachine(env);
    let python: Promise<Python> | undefined;
    const tools: Tools = { signal, machine, stage, python: () => (python ??= findPython({ machine, env, stage, signal })) };
    // The model first: engines are tried with it.
    if (needsModel) await fetchModel(kit, tools);
    if (needsEngine) await makeEngine(choice, kit, tools);
  });
  return kit;
}
