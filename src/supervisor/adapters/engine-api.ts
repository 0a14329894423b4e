import { request } from 'undici';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { AdapterAnswer, EngineCall, LoraSupport } from '../../plugins/engine-plugin.ts';
import type { AdapterEngine } from './replica-adapters.ts';
import type { FetchedAdapter } from './residents.ts';

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

const codeOf: Readonly<Record<400 | 404 | 503, ErrorCode>> = {
  400: 'adapter_invalid',
  404: 'adapter_not_found',
  503: 'adapter_unavailable',
};

function orThrow(answer: AdapterAnswer, what: string): void {
  if (answer.kind === 'done') return;
  throw new GatewayError(codeOf[answer.status], `The engine could not ${what}: ${answer.message}`);
}

/** The adapters of one engine, over its own API. */
export function adapterEngine(address: EngineAddress, lora: LoraSupport & { kind: 'dynamic' }, callEngine: CallEngine): AdapterEngine {
  const call = async (what: string, made: EngineCall, signal: AbortSignal): Promise<CallReply> => {
    try {
      return await callEngine(address, made, signal);
    } catch (error) {
      if (signal.aborted && signal.reason instanceof GatewayError) throw signal.reason;
      throw new GatewayError('adapter_unavailable', `The engine could not ${what}: ${messageOf(error)}`, { cause: error });
    }
  };
  return {
    async load(files: FetchedAdapter, signal) {
      const { status, body } = await call('load the adapter', lora.load(files), signal);
      orThrow(lora.readLoaded(status, body), 'load the adapter');
    },
    async unload(handle, signal) {
      const { status, body } = await call('unload the adapter', lora.unload(handle), signal);
      orThrow(lora.readUnloaded(status, body), 'unload the adapter');
    },
    async resident(signal) {
      const what = 'say which adapters it has';
      const { status, body } = await call(what, lora.resident, signal);
      if (status !== 200) throw new GatewayError('adapter_unavailable', `The engine could not ${what}: status ${status}`);
      try {
        return lora.readResident(JSON.parse(body));
      } catch (error) {
        throw new GatewayError('adapter_unavailable', `The engine could not ${what}: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}
