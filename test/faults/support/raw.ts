import assert from 'node:assert/strict';
import { type RawAnswer, type RawRequest, rawRequest, sendRaw } from '../../support/raw-http.ts';
import type { Victim } from './row.ts';

export interface Told {
  readonly status: number;
  readonly code: string | undefined;
  readonly param: string | null | undefined;
  readonly message: string;
  /** Head and body. */
  readonly text: string;
}

/** A client that writes to sockets itself, each request on one of its own, and has the oracles count them. */
export interface RawClient {
  /** @param counted requests that the gateway has to count for it */
  send(pieces: readonly (string | Buffer)[], counted?: number): Promise<RawAnswer>;
  ask(request: RawRequest): Promise<Told>;
  /** POSTs JSON: an object, or a text as it is. */
  post(body: object | string | Buffer, target?: string): Promise<Told>;
}

export function rawClient(gateway: Victim): RawClient {
  const port = Number(new URL(gateway.url).port);
  const send: RawClient['send'] = (pieces, counted = 1) => {
    gateway.sentByHand(counted);
    return sendRaw(port, pieces);
  };
  const ask: RawClient['ask'] = async (request) => toldBy(await send([rawRequest(request)]));
  return {
    send,
    ask,
    post: (body, target = '/v1/chat/completions') =>
      ask({ target, body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
  };
}

function toldBy({ status, text }: RawAnswer): Told {
  const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1').toString();
  const { error } = (status >= 400 ? JSON.parse(body) : {}) as { error?: { code?: string; param?: string | null; message?: string } };
  return { status, text, code: error?.code, param: error?.param, message: error?.message ?? '' };
}

/** A conversation with model `m`. */
export const chat = (more: object = {}): object => ({ model: 'm', messages: [{ role: 'user', content: 'one two three' }], ...more });

/** What an engine got so far. */
export async function seenBy(gateway: Victim): Promise<{ readonly requests: number; readonly bodies: readonly string[] }> {
  const { requests, seen } = await (await gateway.engine('m')).state();
  return { requests, bodies: seen.map(({ body }) => body) };
}

/** Asserts that the engine of `m` got no request. */
export async function sawNothing(gateway: Victim): Promise<void> {
  assert.deepEqual(await seenBy(gateway), { requests: 0, bodies: [] }, 'the engine was asked nothing');
}
