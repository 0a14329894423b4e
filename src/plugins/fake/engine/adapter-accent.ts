import { isMapping } from '../../../core/json.ts';
import { errorBody, RequestError } from './openai.ts';
import type { Fields } from './openai.ts';

/** Handle → path. */
export type HeldAdapters = ReadonlyMap<string, string>;

/** What became of a call to load or unload an adapter. */
export type AdapterChange = 'loaded' | 'unloaded' | 'loaded-before' | 'not-loaded' | 'missing' | 'unusable' | 'failed';

/** How an engine that the fake one stands for is told of adapters, as it was seen (vLLM 0.26.0, SGLang 0.5.17, llama-server 0.7.0). */
export interface AdapterAccent {
  /** What stands before the routes; undefined where adapters are named at the start only. */
  readonly prefix: '/v1' | '' | undefined;
  /** The adapter that a request chooses; undefined: the base. @throws RequestError for one that is not held. */
  chosen(fields: Fields, servedName: string, held: HeldAdapters): string | undefined;
  /** What a reply calls the model. */
  replyName(servedName: string, adapter: string): string;
  answer(
    change: AdapterChange,
    handle: string,
    path: string,
    held: HeldAdapters,
  ): { readonly status: number; readonly body: object | string };
}

const wordsOfVllm: Readonly<Record<AdapterChange, (handle: string, path: string) => readonly [number, string, string]>> = {
  loaded: (handle) => [200, '', `Success: LoRA adapter '${handle}' added successfully.`],
  unloaded: (handle) => [200, '', `Success: LoRA adapter '${handle}' removed successfully.`],
  'loaded-before': (handle) => [
    400,
    'InvalidUserInput',
    `The lora adapter '${handle}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`,
  ],
  'not-loaded': (handle) => [404, 'NotFoundError', `The lora adapter '${handle}' cannot be found.`],
  missing: (handle, path) => [404, 'NotFoundError', `Loading lora ${handle} failed: No adapter found for ${path}`],
  unusable: () => [500, 'InternalServerError', 'Call to add_lora method failed: LoRA rank 64 is greater than max_lora_rank 16.'],
  failed: () => [500, 'InternalServerError', 'Call to add_lora method failed: CUDA out of memory.'],
};

export const vllmAdapters: AdapterAccent = {
  prefix: '/v1',
  chosen({ model }, servedName, held) {
    if (typeof model !== 'string' || model === servedName) return undefined;
    if (held.has(model)) return model;
    throw new RequestError(`The model \`${model}\` does not exist.`, 'model', undefined, 404);
  },
  replyName: (_served, adapter) => adapter,
  answer(change, handle, path) {
    const [status, type, message] = wordsOfVllm[change](handle, path);
    return { status, body: status === 200 ? message : { error: { message, type, param: null, code: status } } };
  },
};

/** The fake engine as itself: vLLM's routes, and a field of its own in requests. */
export const ownAdapters: AdapterAccent = {
  prefix: '/v1',
  chosen({ adapter }, _servedName, held) {
    if (typeof adapter !== 'string') return undefined;
    if (held.has(adapter)) return adapter;
    throw new RequestError(`the adapter ${JSON.stringify(adapter)} is not loaded`, 'adapter', 'adapter_not_loaded', 404);
  },
  replyName: (served) => served,
  answer(change, handle, path) {
    const [status, , message] = wordsOfVllm[change](handle, path);
    return { status, body: status === 200 ? message : errorBody(message, 'invalid_request_error') };
  },
};

const wordsOfSglang: Readonly<Record<AdapterChange, (handle: string, path: string, held: HeldAdapters) => string>> = {
  loaded: () => '',
  unloaded: () => '',
  'loaded-before': (handle) => `Failed to load LoRA adapter ${handle} because it is already loaded`,
  'not-loaded': (handle, _path, held) =>
    `LoRA with name ${handle} does not exist. Loaded LoRAs: odict_keys(${JSON.stringify([...held.keys()])})`,
  missing: (_handle, path) =>
    `Repo id must be in the form 'repo_name' or 'namespace/repo_name': '${path}'. Use \`repo_type\` argument if needed.`,
  unusable: (handle) => `LoRA adapter ${handle} with rank 64 is incompatible with the current LoRA memory pool configuration.`,
  failed: () => 'CUDA out of memory.',
};

export const sglangAdapters: AdapterAccent = {
  prefix: '',
  chosen({ model }, _servedName, held) {
    // Whatever stands before the first colon is taken for the base.
    const [, adapter] = typeof model === 'string' ? (/^[^:]*:(.+)$/su.exec(model) ?? []) : [];
    if (adapter === undefined || held.has(adapter)) return adapter;
    const all = JSON.stringify([...held.keys()]);
    throw new RequestError(`Got LoRA adapter that has never been loaded: ${adapter}\nAll loaded adapters: dict_keys(${all}).`);
  },
  replyName: (served, adapter) => `${served}:${adapter}`,
  answer(change, handle, path, held) {
    const message = wordsOfSglang[change](handle, path, held);
    const success = message === '';
    const adapters = change === 'not-loaded' ? null : Object.fromEntries(held);
    const body = { rid: null, http_worker_ipc: null, success, error_message: message, loaded_adapters: adapters };
    return { status: success ? 200 : 400, body };
  },
};

export const llamacppAdapters: AdapterAccent = {
  prefix: undefined,
  chosen({ lora }, _servedName, held) {
    // Places that it does not know have no effect.
    const entries: readonly unknown[] = Array.isArray(lora) ? lora : [];
    const applied = entries.find((entry) => isMapping(entry) && Number(entry['scale']) !== 0 && held.has(String(entry['id'])));
    return isMapping(applied) ? String(applied['id']) : undefined;
  },
  replyName: (served) => served,
  answer: () => ({ status: 404, body: {} }),
};
