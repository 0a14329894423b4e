import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../kit/machine.ts';
import type { Python } from '../kit/python.ts';

/** What a server's installation needs. */
export interface StoreTools {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** A directory for what is needed only meanwhile. */
  readonly stage: string;
  /** @throws saying why there is none */
  readonly python: () => Promise<Python>;
}

/** An object store that tests are run against, or a client of one: a program of one file. */
export interface StoreServer {
  readonly name: 'versitygw' | 'fake-gcs-server' | 's5cmd';
  readonly version: string;
  readonly title: string;
  /** Why it cannot be had on this machine; undefined where it can. */
  obstacle(machine: Machine, env: NodeJS.ProcessEnv): string | undefined;
  /** @returns the program, inside the stage, verified by a digest that is pinned */
  install(tools: StoreTools): Promise<string>;
}

/** Where a server is kept between runs and clones: `$XDG_CACHE_HOME/roundhouse/stores`. */
export function storeDirectory(env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'];
  return join(cache === undefined || cache === '' ? join(homedir(), '.cache') : cache, 'roundhouse', 'stores');
}

/** The program of a server; only what is finished and verified is ever shown there. */
export function programOf({ name, version }: Pick<StoreServer, 'name' | 'version'>, env: NodeJS.ProcessEnv): string {
  return join(storeDirectory(env), `${name}-${version}`);
}

export function isInstalled(server: StoreServer, env: NodeJS.ProcessEnv): boolean {
  return existsSync(programOf(server, env));
}
