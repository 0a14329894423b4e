import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { onPath } from './machine.ts';

/** A `llama-server` that the user has. */
export interface OwnEngine {
  readonly route: 'env' | 'path';
  /** Absolute. */
  readonly file: string;
}

/** LLAMA_SERVER, else `llama-server` on PATH; never the kit's own launcher, which may well be on PATH too. */
export function findOwnEngine(env: NodeJS.ProcessEnv, kitDirectory: string): OwnEngine | undefined {
  const named = env['LLAMA_SERVER'];
  if (named !== undefined && named !== '') return { route: 'env', file: resolve(onPath(named, env) ?? named) };
  const file = onPath('llama-server', env);
  if (file === undefined || dirname(realpathSync(file)) === kitDirectory) return undefined;
  return { route: 'path', file };
}
