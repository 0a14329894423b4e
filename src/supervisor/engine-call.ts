import { request } from 'undici';
import type { EngineCall } from '../plugins/engine-plugin.ts';

/** Where an engine is reached. */
export interface EngineAddress {
  /** Origin. */
  readonly upstream: string;
  /** Empty where it asks for none. */
  readonly apiKey: string;
}

export interface CallReply {
  readonly status: number;
  readonly body: string;
}

/** @throws Error when there is no reply. */
export type CallEngine = (address: EngineAddress, call: EngineCall, signal: AbortSignal) => Promise<CallReply>;

const bodyLimit = 64 * 1024;

export const callOverHttp: CallEngine = async ({ upstream, apiKey }, { method, path, body }, signal) => {
  const reply = await request(upstream + path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // An engine answers once it has read the weights; whoever calls sets the limit.
    headersTimeout: 0,
    bodyTimeout: 0,
    reset: true,
    signal,
  });
  let text = '';
  for await (const chunk of reply.body as AsyncIterable<Buffer>) if (text.length < bodyLimit) text += chunk.toString('utf8');
  return { status: reply.statusCode, body: text.slice(0, bodyLimit) };
};
