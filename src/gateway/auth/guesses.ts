import { hash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { GatewayError } from '../../core/errors.ts';
import { TokenBuckets } from '../../core/token-buckets.ts';
import { durationOf } from './duration.ts';

/** Buckets in each of two rows. Two addresses share both of theirs once in 67 million pairs. */
const rowBuckets = 8192;

export interface GuessMemory {
  readonly buckets: SharedArrayBuffer;
  /** Random: nobody can tell which addresses share a bucket with which. */
  readonly salt: string;
}

export function guessMemory(salt: string): GuessMemory {
  return { buckets: new SharedArrayBuffer(2 * rowBuckets * BigInt64Array.BYTES_PER_ELEMENT), salt };
}

/**
 * Holds each address to so many wrong keys a minute (`gateway.limits.failed_auth_per_minute`), over all workers and in constant memory: an
 * address has one bucket in each of two rows, by its hash, and is held back only when both are used up.
 */
export class Guesses {
  readonly #buckets: TokenBuckets;
  readonly #salt: string;
  readonly #perMinute: number;

  constructor({ buckets, salt }: GuessMemory, perMinute: number, now: () => bigint = () => process.hrtime.bigint()) {
    this.#buckets = new TokenBuckets(new BigInt64Array(buckets), now);
    this.#salt = salt;
    this.#perMinute = perMinute;
  }

  /** To be asked before the key is looked at. @throws GatewayError `rate_limited` */
  check(address: string | undefined): void {
    const waits = this.#cells(address).map((cell) => this.#buckets.untilOneMs(cell, this.#perMinute));
    const waitMs = Math.min(...waits);
    if (waitMs === 0) return;
    const message = `Too many wrong keys from your address (at most ${this.#perMinute} a minute); try again in ${durationOf(waitMs)}.`;
    throw new GatewayError('rate_limited', message, { retryAfterS: waitMs / 1000 });
  }

  failed(address: string | undefined): void {
    for (const cell of this.#cells(address)) this.#buckets.take(cell, 1, this.#perMinute);
  }

  #cells(address = ''): readonly [number, number] {
    const digest = hash('sha256', this.#salt + networkOf(address), 'buffer');
    return [digest.readUInt32BE(0) % rowBuckets, rowBuckets + (digest.readUInt32BE(4) % rowBuckets)];
  }
}

/** What one client has of its own: an IPv4 address, or the /64 network of an IPv6 one. */
export function networkOf(address: string): string {
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (v4 !== undefined) return v4;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.toLowerCase().split('%', 1)[0]?.split('::') ?? [];
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? before : [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
