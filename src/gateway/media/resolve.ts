import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** All addresses of a host; none where there are none, or nobody could say. */
export type ResolveHost = (host: string, listed: boolean) => Promise<readonly string[]>;

/** A server that does not answer holds a request up no longer than this, twice. */
const timeoutMs = 2000;

const all = (settled: readonly PromiseSettledResult<readonly string[]>[]): readonly string[] =>
  settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));

/**
 * By DNS alone, so that names of this machine and its network mean nothing, and a slow answer holds no thread that files are read with;
 * for hosts that the config lists, by all that the system looks names up with.
 */
export const resolveHost: ResolveHost = async (host, listed) => {
  if (isIP(host) !== 0) return [host];
  if (listed) return all(await Promise.allSettled([lookup(host, { all: true }).then((found) => found.map(({ address }) => address))]));
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
  return all(await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]));
};
