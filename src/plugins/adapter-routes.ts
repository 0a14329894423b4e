import { isMapping } from '../core/json.ts';
import type { AdapterAnswer, AdapterContents, LoraSupport } from './engine-plugin.ts';
import { readErrorReply } from './error-reply.ts';
import { parseObject } from './reply-mend.ts';

/** What the messages of refusals mean. */
export interface RefusalReasons {
  /** It was loaded before under this name. */
  readonly loaded: RegExp;
  /** It was not loaded under this name. */
  readonly unloaded: RegExp;
  /** There is no adapter at the path. */
  readonly missing: RegExp;
  /** The adapter does not fit the model or the engine's options, on whichever replica. */
  readonly unusable: RegExp;
}

/** The routes for adapters that vLLM and SGLang have alike, under different prefixes. */
export function adapterRoutes(
  prefix: '/v1' | '',
  reasons: RefusalReasons,
  problem?: (adapter: AdapterContents) => string | undefined,
): LoraSupport {
  return {
    kind: 'dynamic',
    format: 'peft',
    ...(problem === undefined ? {} : { problem }),
    load: ({ handle, path }) => ({ method: 'POST', path: `${prefix}/load_lora_adapter`, body: { lora_name: handle, lora_path: path } }),
    unload: (handle) => ({ method: 'POST', path: `${prefix}/unload_lora_adapter`, body: { lora_name: handle } }),
    readLoaded(status, body) {
      const message = refusalOf(status, body);
      return message === undefined || reasons.loaded.test(message) ? { kind: 'done' } : refused(message, reasons);
    },
    readUnloaded(status, body) {
      const message = refusalOf(status, body);
      return message === undefined || reasons.unloaded.test(message) ? { kind: 'done' } : { kind: 'refused', status: 503, message };
    },
    resident: { method: 'GET', path: '/v1/models' },
    readResident: readAdapters,
  };
}

/** Why the engine did not do it; undefined where it did, which vLLM says in plain text and SGLang in JSON. */
function refusalOf(status: number, body: string): string | undefined {
  if (status < 300) return undefined;
  const words = parseObject(body)?.['error_message'];
  return typeof words === 'string' && words !== '' ? words : readErrorReply(status, body).message;
}

function refused(message: string, { missing, unusable }: RefusalReasons): AdapterAnswer {
  if (missing.test(message)) return { kind: 'refused', status: 404, message };
  return { kind: 'refused', status: unusable.test(message) ? 400 : 503, message };
}

/** Ids of the entries of a model list that have a parent. */
export function readAdapters(body: unknown): readonly string[] {
  if (!isMapping(body) || !Array.isArray(body['data'])) return [];
  return body['data'].flatMap((entry: unknown) =>
    isMapping(entry) && typeof entry['id'] === 'string' && typeof entry['parent'] === 'string' ? [entry['id']] : [],
  );
}
