import type { IncomingHttpHeaders } from 'node:http';
import { hashText } from '../core/rendezvous.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { RoutingPolicy } from '../core/table.ts';

/** Characters of a prompt that count: more would only cost, prompts that agree in so many go on alike. */
const prefixLength = 4096;

function sessionOf(headers: IncomingHttpHeaders, names: readonly string[], request: NormalizedRequest): string | undefined {
  for (const name of names) {
    const value = headers[name] ?? headers[name.replaceAll('-', '_')];
    if (typeof value === 'string' && value !== '') return value;
  }
  return request.text('prompt_cache_key') ?? request.text('user');
}

/** The prompt up to and including its first user message: what all turns of one conversation share. */
function beginningOf(request: NormalizedRequest): string | undefined {
  const { messages, input, prompt = input } = request.body();
  if (!Array.isArray(messages)) return typeof prompt === 'string' ? prompt : JSON.stringify(prompt);
  const firstUser = messages.findIndex((message: unknown) => (message as { role?: unknown } | null)?.role === 'user');
  return JSON.stringify(firstUser === -1 ? messages : messages.slice(0, firstUser + 1));
}

/** What requests must share to prefer the same replica, as 32 bits; undefined: nothing binds this one. */
export function affinityKey(routing: RoutingPolicy, headers: IncomingHttpHeaders, request: NormalizedRequest): number | undefined {
  switch (routing.kind) {
    case 'least-in-flight':
      return undefined;
    case 'sticky': {
      const session = sessionOf(headers, routing.headers, request);
      return session === undefined ? undefined : hashText(session);
    }
    case 'prefix': {
      const beginning = beginningOf(request);
      return beginning === undefined ? undefined : hashText(beginning.slice(0, prefixLength));
    }
  }
}
