import { resolve } from 'node:path';
import {
  type Access,
  type AccessKey,
  type Budget,
  isLimited,
  keyDigest,
  type KeyLimits,
  keyPattern,
  longestKey,
  noLimits,
  shortestSafeKey,
} from '../core/access.ts';
import { didYouMean } from '../core/did-you-mean.ts';
import type { ModelName } from '../core/ids.ts';
import { rateSeats } from '../core/rate-board.ts';
import type { Config } from './config.ts';
import type { ResolveContext } from './context.ts';
import { localPath } from './local-path.ts';
import { type ConfigPath, formatPath } from './problems.ts';
import type { GatewayEntry } from './schema.ts';

type KeyEntry = NonNullable<GatewayEntry['keys']>[number];

/** A key as a config gives it: itself, the file it is in, or its digest. */
export interface GivenKey {
  readonly key?: string | undefined;
  readonly key_file?: string | undefined;
  readonly sha256?: string | undefined;
}

/** Ray's `api_key` of an application. */
export interface ApplicationKey {
  /** Of the application. */
  readonly name: string;
  readonly prefix: string;
  readonly key: string;
  readonly path: ConfigPath;
}

/**
 * The digest of the key given at `path` in one of three ways; undefined where it is not given, or wrong, which is told. A key that others
 * could guess or read is told of.
 */
export function resolveDigest(given: GivenKey, path: ConfigPath, context: ResolveContext): string | undefined {
  const { key, key_file: file, sha256 } = given;
  const ways = Object.entries({ key, key_file: file, sha256 }).flatMap(([name, value]) => (value === undefined ? [] : name));
  if (ways.length > 1) context.problem([...path, ways[1] ?? ''], `beside ${ways[0]}; expected only one of key, key_file and sha256`, 'key');
  if (sha256 !== undefined) return sha256.toLowerCase();
  if (file !== undefined) return fileDigest(file, [...path, 'key_file'], context);
  return key === undefined ? undefined : textDigest(key, [...path, 'key'], context);
}

function textDigest(key: string, path: ConfigPath, context: ResolveContext): string | undefined {
  if (!keyPattern.test(key)) {
    const found = key === '' ? 'it is empty' : `it has ${key.length} characters`;
    context.problem(path, `expected 1 to ${longestKey} visible ASCII characters without blanks; ${found}`);
    return undefined;
  }
  if (key.length < shortestSafeKey)
    context.warning(
      path,
      `a key of ${key.length} characters can be guessed; expected ${shortestSafeKey} or more (gateway key new makes one)`,
    );
  return keyDigest(key);
}

function fileDigest(written: string, path: ConfigPath, context: ResolveContext): string | undefined {
  const directory = context.directoryOf(path);
  const file = localPath(written, directory, context.homeDir) ?? resolve(directory, written);
  const found = context.secretFile(file);
  if ('problem' in found) {
    context.problem(path, `${JSON.stringify(file)} ${found.problem}; expected a file with the key`);
    return undefined;
  }
  if (found.openToOthers) context.warning(path, `every user of this machine can read ${JSON.stringify(file)}; expected mode 0600`);
  return textDigest(found.text, path, context);
}

/** `gateway.keys` and the applications' own. @param apps names that clients use → models, by route prefix */
export function resolveAccess(
  keys: readonly KeyEntry[],
  ofApplications: readonly ApplicationKey[],
  apps: Config['apps'],
  context: ResolveContext,
): Access {
  const seen = { names: new Map<string, ConfigPath>(), digests: new Map<string, ConfigPath>() };
  const own = keys.flatMap((entry, at) => {
    const path = ['gateway', 'keys', at];
    const sha256 = resolveDigest(entry, path, context);
    once(seen.names, entry.name, [...path, 'name'], `the name ${JSON.stringify(entry.name)}`, context);
    if (sha256 !== undefined) once(seen.digests, sha256, path, 'the key itself', context);
    const models = resolveModels(entry.models, [...path, 'models'], apps, context);
    const expiresAt = resolveExpiry(entry, [...path, 'expires'], context);
    const limits = limitsOf(entry.limits);
    const ofModels = resolveModelLimits(entry.limits?.models, [...path, 'limits', 'models'], models, apps, context);
    return sha256 === undefined
      ? []
      : [
          {
            name: entry.name,
            sha256,
            prefix: undefined,
            models,
            expiresAt,
            limits,
            ...(ofModels.size === 0 ? {} : { ofModels }),
          } satisfies AccessKey,
        ];
  });
  const budgets = own.flatMap((key) => [key.limits, ...[...(key.ofModels?.values() ?? [])].map(({ limits }) => limits)]).filter(isLimited);
  if (budgets.length > rateSeats)
    context.problem(['gateway', 'keys'], `${budgets.length} limits of keys and of their models; expected at most ${rateSeats}`);
  const theirs = ofApplications.flatMap(({ name, prefix, key, path }): AccessKey[] => {
    const sha256 = textDigest(key, path, context);
    return sha256 === undefined
      ? []
      : [{ name: `application ${name}`, sha256, prefix, models: undefined, expiresAt: undefined, limits: noLimits }];
  });
  return { keys: [...own, ...theirs] };
}

type GivenLimits = NonNullable<KeyEntry['limits']>;

function limitsOf(limits: Pick<GivenLimits, 'rpm' | 'tpm' | 'concurrency'> | undefined): KeyLimits {
  return { requestsPerMinute: limits?.rpm, tokensPerMinute: limits?.tpm, concurrency: limits?.concurrency };
}

/** @param allowed models that the key may use; undefined: all */
function resolveModelLimits(
  given: GivenLimits['models'],
  path: ConfigPath,
  allowed: readonly ModelName[] | undefined,
  apps: Config['apps'],
  context: ResolveContext,
): ReadonlyMap<ModelName, Budget> {
  const budgets = new Map<ModelName, Budget>();
  for (const [name, limits] of Object.entries(given ?? {})) {
    const here = [...path, name];
    for (const model of modelsNamed(name, here, apps, context)) {
      if (budgets.has(model))
        context.problem(here, `the model ${JSON.stringify(model)} has limits here by another of its names; expected each model once`);
      if (allowed !== undefined && !allowed.includes(model))
        context.warning(here, `has no effect: the key may not use the model ${JSON.stringify(name)} (models)`);
      budgets.set(model, { limits: limitsOf(limits) });
    }
  }
  return budgets;
}

/** The models of a name, in whichever applications it stands. */
function modelsNamed(name: string, path: ConfigPath, apps: Config['apps'], context: ResolveContext): readonly ModelName[] {
  const models = [...new Set([...apps.values()].flatMap((app) => app.get(name) ?? []))];
  if (models.length === 0) {
    const known = [...new Set([...apps.values()].flatMap((app) => [...app.keys()]))];
    const meant = didYouMean(name, known) || '; expected the id or an alias of a model of this config';
    context.problem(path, `there is no model ${JSON.stringify(name)}${meant}`);
  }
  return models;
}

function once(seen: Map<string, ConfigPath>, value: string, path: ConfigPath, what: string, context: ResolveContext): void {
  const first = seen.get(value);
  if (first === undefined) seen.set(value, path);
  else context.problem(path, `${what} is already that of ${formatPath(first.slice(0, 3))}; expected each once`);
}

function resolveModels(
  names: readonly string[] | undefined,
  path: ConfigPath,
  apps: Config['apps'],
  context: ResolveContext,
): readonly ModelName[] | undefined {
  return names?.flatMap((name, at) => modelsNamed(name, [...path, at], apps, context));
}

function resolveExpiry({ name, expires }: KeyEntry, path: ConfigPath, context: ResolveContext): number | undefined {
  if (expires === undefined) return undefined;
  const at = Date.parse(expires);
  if (Number.isNaN(at)) context.problem(path, `expected a date and time such as 2030-01-31T12:00:00Z, got ${JSON.stringify(expires)}`);
  else if (at <= context.wallClock()) context.warning(path, `the key ${JSON.stringify(name)} has expired (${expires}): it opens nothing`);
  return at;
}
