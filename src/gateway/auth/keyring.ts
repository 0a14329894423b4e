import { hash, timingSafeEqual } from 'node:crypto';
import type { AccessKey } from '../../core/access.ts';

interface Entry {
  readonly digest: Buffer;
  readonly key: AccessKey;
}

/** What is compared with where nothing stands under a prefix: no key has this digest. */
const nobody: readonly Entry[] = [];
const decoy = Buffer.alloc(32);
const prefixBytes = 6;

/**
 * Keys by their digest. Looking one up takes the same time whatever is presented and however many there are: SHA-256 of it, one look
 * into a map by the digest's first 48 bits, one comparison of 32 bytes. Where a guess differs from a key shows in none of them: digests
 * of two guesses have nothing in common, and who could tell how far a digest agrees with one of ours would still have to invert SHA-256.
 */
export class Keyring {
  readonly #entries = new Map<number, readonly Entry[]>();
  /** Holds the digest that is looked up. */
  readonly #presented = Buffer.alloc(32);

  constructor(keys: readonly AccessKey[]) {
    for (const key of keys) {
      const digest = Buffer.from(key.sha256, 'hex');
      const at = digest.readUIntBE(0, prefixBytes);
      this.#entries.set(at, [...(this.#entries.get(at) ?? nobody), { digest, key }]);
    }
  }

  /** The keys that `presented` is: none, one, or one of several applications that have the same. */
  find(presented: string): readonly AccessKey[] {
    // By way of a string: a buffer of its own for each digest costs three times the hash.
    const digest = this.#presented;
    digest.write(hash('sha256', presented, 'binary'), 'binary');
    const entries = this.#entries.get(digest.readUIntBE(0, prefixBytes)) ?? nobody;
    if (entries.length === 0) timingSafeEqual(digest, decoy);
    return entries.flatMap((entry) => (timingSafeEqual(digest, entry.digest) ? entry.key : []));
  }
}
