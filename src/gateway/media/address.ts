import ipaddr from 'ipaddr.js';

/** 2000::/3, all that is given out of IPv6. */
const globalUnicast = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];

/**
 * Whether an IP address is one of the public internet: not of this machine, a private network, a cloud's metadata service, or a way to
 * write such an address in another one (IPv4 in IPv6, 6to4, NAT64).
 */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}
