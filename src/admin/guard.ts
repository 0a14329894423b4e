/** How a request came: the socket is its owner's alone; a TCP port on loopback can be reached by any page in a browser on this machine. */
export type Origin = 'socket' | 'tcp';

export interface GuardedRequest {
  readonly mutating: boolean;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly contentType: string | undefined;
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The host of a `Host` header without its port, in lower case. */
function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

/**
 * Why a request over TCP is refused, or undefined. A browser always sends `Origin` with a request that changes something and comes from
 * another page; a name that was rebound to 127.0.0.1 still stands in `Host`; and JSON cannot be sent across origins without asking first.
 */
export function refusal({ mutating, host, origin, contentType }: GuardedRequest): string | undefined {
  if (origin !== undefined) return `requests from web pages are refused (Origin: ${origin})`;
  if (!mutating) return undefined;
  if (host === undefined || !loopbackNames.has(hostName(host)))
    return `Host ${host ?? '(none)'} is not this machine; expected one of ${[...loopbackNames].join(', ')}`;
  if (contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/json')
    return `Content-Type ${contentType ?? '(none)'}; expected application/json`;
  return undefined;
}
