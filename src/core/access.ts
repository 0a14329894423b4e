import { hash } from 'node:crypto';
import type { ModelName } from './ids.ts';

/** Limits, and where what was used of them is counted. */
export interface Budget {
  readonly limits: KeyLimits;
  /** Its place on the rate board; set where there are limits, once the data plane has given it one. */
  readonly seat?: number;
}

/** A key of the API, as the gateway keeps it: never the key itself. Its limits hold over all models together. */
export interface AccessKey extends Budget {
  /** Of the config, for people; not secret. */
  readonly name: string;
  /** `keyDigest` of the key. */
  readonly sha256: string;
  /** The one route prefix it opens (`''`: the root); undefined: all. */
  readonly prefix: string | undefined;
  /** Models it may use, with their adapters; undefined: all. */
  readonly models: readonly ModelName[] | undefined;
  /** Unix milliseconds from which it opens nothing; undefined: never. */
  readonly expiresAt: number | undefined;
  /** Of single models, beside those of the key. */
  readonly ofModels?: ReadonlyMap<ModelName, Budget>;
}

/** What a key may use, over all workers; undefined: as much as it likes. */
export interface KeyLimits {
  readonly requestsPerMinute: number | undefined;
  /** Of prompts and replies together. */
  readonly tokensPerMinute: number | undefined;
  /** Requests at a time, waiting ones included. */
  readonly concurrency: number | undefined;
}

/** Whether anything is limited. */
export function isLimited(limits: KeyLimits): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}

export const noLimits: KeyLimits = { requestsPerMinute: undefined, tokensPerMinute: undefined, concurrency: undefined };

/** Who may use the API. Without keys for a route prefix, everybody may use what stands under it. */
export interface Access {
  readonly keys: readonly AccessKey[];
}

export const openToAll: Access = { keys: [] };

/** Longest key that is accepted, in characters. */
export const longestKey = 512;
/** Below this many characters a key can be guessed, or found from its digest. */
export const shortestSafeKey = 16;
/** What a key may consist of: what can stand in an HTTP header without being changed on the way. */
export const keyPattern = /^[\x21-\x7e]{1,512}$/;

/** SHA-256 in lower-case hex: the form in which configs name a key. */
export function keyDigest(key: string): string {
  return hash('sha256', key, 'hex');
}
