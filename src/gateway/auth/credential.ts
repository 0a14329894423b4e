import type { IncomingHttpHeaders } from 'node:http';
import { longestKey } from '../../core/access.ts';

const bearer = /^bearer +(\S+) *$/i;

/**
 * The key a client presents: `Authorization: Bearer …`, or else `x-api-key`, which Anthropic's clients send. `''` where there is none,
 * or none that could be a key: that opens nothing either.
 */
export function credentialOf({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string {
  const given = (authorization === undefined ? undefined : bearer.exec(authorization)?.[1]) ?? apiKey;
  return typeof given === 'string' && given.length <= longestKey ? given : '';
}
