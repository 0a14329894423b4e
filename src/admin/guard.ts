import { isIP } from 'node:net';

/** How a request came: the socket is its owner's alone; a TCP port on loopback can be reached by any page in a browser on this machine. */
export type Origin = 'socket' | 'tcp';

export interface GuardedRequest {
  readonly mutating: boolean;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly contentType: string | undefined;
}

/** The host of a `Host` header without its port and brackets, in lower case. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');
}

/** No name that a stranger's DNS could point at this machine: an address, `localhost`, or one that the config names. */
function isTrusted(name: string, allowedHosts: readonly string[]): boolean {
  return name === 'localhost' || isIP(name) !== 0 || allowedHosts.some((allowed) => allowed.toLowerCase() === name);
}

/**
 * Why a request over TCP is refused, or undefined. A browser always sends `Origin` with a request that changes something and comes from
 * another page; a name that was rebound to this machine's address (and then may read answers, too) still stands in `Host`; and JSON cannot
 * be sent across origins without asking first.
 */
export function refusal({ mutating, host, origin, contentType }: GuardedRequest, allowedHosts: readonly string[]): string | undefined {
  if (origin !== undefined) return `requests from web pages are refused (Origin: ${origin})`;
  if (host === undefined || !isTrusted(hostName(host), allowedHosts))
    return `Host ${host ?? '(none)'} is not known; expected an IP address, localhost, or a name in gateway.admin.allowed_hosts`;
  if (mutating && contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/json')
    return `Content-Type ${contentType ?? '(none)'}; expected application/json`;
  return undefined;
}
