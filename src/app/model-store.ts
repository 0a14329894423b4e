import { homedir } from 'node:os';
import type { Config } from '../config/config.ts';
import { defaultStateDir, modelCacheDir } from '../config/user-dirs.ts';
import { systemClock } from '../core/clock.ts';
import { ModelCache } from '../models/cache.ts';
import type { FetchLimits } from '../models/fetch.ts';
import { ModelStore } from '../models/store.ts';

/** The store of a config; its directory is made when the first model is brought. @param limits other than a gateway that serves has */
export function openStore({ cache: { dir, maxBytes } }: Pick<Config, 'cache'>, limits: Partial<FetchLimits> = {}): ModelStore {
  return new ModelStore({ cache: new ModelCache(dir, systemClock), maxBytes, clock: systemClock, random: Math.random, limits });
}

/** The cache of a gateway whose config says nothing of it. */
export function cacheHere(env: Readonly<Record<string, string | undefined>>): Pick<Config, 'cache'> {
  return { cache: { dir: modelCacheDir(defaultStateDir(env, homedir())), maxBytes: undefined } };
}
