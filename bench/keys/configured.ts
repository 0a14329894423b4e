import { type AccessKey, keyDigest, type KeyLimits } from '../../src/core/access.ts';

const keyLength = 46;

/** The key at a place among those that are configured, as its holder has it. */
export const keyText = (at: number): string => `rh-${String(at).padStart(keyLength - 3, 'k')}`;

/** The same as the gate has it. */
export const keyAt = (at: number, limits: KeyLimits): AccessKey => ({
  name: `key ${at}`,
  sha256: keyDigest(keyText(at)),
  prefix: undefined,
  models: undefined,
  expiresAt: undefined,
  limits,
  seat: 0,
});
