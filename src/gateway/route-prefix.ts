import type { IncomingMessage } from 'node:http';
import type { RoutingTable } from '../core/table.ts';

interface PrefixedMessage extends IncomingMessage {
  routePrefix?: string;
}

/**
 * Takes the route prefix of an application off a request's URL and notes it on the request, so that every application has
 * the same routes below it: the longest prefix with
 * `/v1/` behind it wins. Tables change; the server's routes do not.
 */
export function rewriteUrl(raw: IncomingMessage, table: RoutingTable): string {
  const url = raw.url ?? '/';
  let longest = '';
  for (const prefix of table.apps.keys()) {
    if (prefix.length > longest.length && url.startsWith(prefix) && url.startsWith('/v1/', prefix.length)) longest = prefix;
  }
  if (longest === '') return url;
  (raw as PrefixedMessage).routePrefix = longest;
  return url.slice(longest.length);
}

/** The prefix of the application that the request is for; `''` for the root. */
export function prefixOf(raw: IncomingMessage): string {
  return (raw as PrefixedMessage).routePrefix ?? '';
}
