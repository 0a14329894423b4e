import { GatewayError, messageOf } from '../../src/core/errors.ts';
import { describeMachine } from '../kit/machine.ts';
import type { Machine } from '../kit/machine.ts';
import { findPython } from '../kit/python.ts';
import type { Python } from '../kit/python.ts';
import { step } from '../say.mjs';
import { publish, sweep, withStage } from '../staging.mjs';
import { fakeGcsServer } from './fake-gcs-server.ts';
import type { StoreServer } from './store-server.ts';
import { isInstalled, programOf, storeDirectory } from './store-server.ts';
import { versitygw } from './versitygw.ts';

export const storeServers = { versitygw, fakeGcsServer } as const;

export interface StoresFound {
  /** Names of the servers that are there. */
  readonly names: readonly string[];
  /** Of each that is not: why this machine cannot have it, or what went wrong. */
  readonly missing: readonly { readonly title: string; readonly reason: string; readonly impossible: boolean }[];
}

/**
 * Makes sure of the object stores that tests are run against, in the user's cache. Runs nothing and needs no network where they are there.
 * Aborting leaves what is finished and nothing half done.
 */
export async function ensureStores(
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  servers: readonly StoreServer[] = Object.values(storeServers),
  machine: Machine = describeMachine(env),
): Promise<StoresFound> {
  const names: string[] = [];
  const missing: StoresFound['missing'][number][] = [];
  sweep(storeDirectory(env));
  for (const server of servers) {
    const { name, title } = server;
    const obstacle = isInstalled(server, env) ? undefined : server.obstacle(machine, env);
    if (obstacle !== undefined) missing.push({ title, reason: obstacle, impossible: true });
    else {
      try {
        if (!isInstalled(server, env)) await install(server, machine, env, signal);
        names.push(name);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        missing.push({ title, reason: messageOf(thrown), impossible: false });
      }
    }
  }
  return { names, missing };
}

async function install(server: StoreServer, machine: Machine, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  await withStage(storeDirectory(env), async (stage) => {
    let python: Promise<Python> | undefined;
    const tools = { env, signal, stage, python: () => (python ??= findPython({ machine, env, stage, signal })) };
    const program = await step(
      server.title,
      () => server.install(tools),
      () => 'ready',
    );
    publish(program, programOf(server, env));
  });
}

/**
 * The environment that tells tests which stores may not be missing.
 * @param required an installation that fails is an error; what this machine cannot have never is
 * @throws GatewayError `artifact_unavailable`
 */
export async function storesForTests(env: NodeJS.ProcessEnv, required: boolean, signal: AbortSignal): Promise<NodeJS.ProcessEnv> {
  const { names, missing } = await ensureStores(env, signal);
  for (const { title, reason, impossible } of missing) {
    if (required && !impossible) throw new GatewayError('artifact_unavailable', `${title} could not be made ready: ${reason}`);
    console.error(`setup: LEFT OUT, and the tests that need it with it: ${title}: ${reason}`);
  }
  return { ROUNDHOUSE_TEST_STORES: names.join(',') };
}
