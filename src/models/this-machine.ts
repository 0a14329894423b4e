import { BlockList, isIP } from 'node:net';

const own = new BlockList();
own.addSubnet('127.0.0.0', 8);
// Connections to "any address" reach this machine.
own.addAddress('0.0.0.0');
own.addAddress('::', 'ipv6');
own.addAddress('::1', 'ipv6');

/** Whether a URL's `hostname` is one that this machine itself answers for, by its name or as an address (IPv6 in brackets). */
export function isThisMachine(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  const version = isIP(host);
  // An IPv4 address that is written as an IPv6 one is checked as what it is.
  if (version !== 0) return own.check(host, version === 4 ? 'ipv4' : 'ipv6');
  return /(?:^|\.)localhost\.?$/i.test(host);
}
