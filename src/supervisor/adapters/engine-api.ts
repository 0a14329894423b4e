import { GatewayError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { AdapterAnswer, EngineCall, LoraSupport } from '../../plugins/engine-plugin.ts';
import type { CallEngine, CallReply, EngineAddress } from '../engine-call.ts';
import type { AdapterEngine } from './replica-adapters.ts';
import type { FetchedAdapter } from './files.ts';

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
    async load(files: Pick<FetchedAdapter, 'handle' | 'path'>, signal) {
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
