import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { accents } from './accent.ts';
import type { AdapterChange, HeldAdapters } from './adapter-accent.ts';
import { parseBody, RequestError } from './openai.ts';
import type { Fields } from './openai.ts';
import { readBody, sendJson, sendText } from './respond.ts';
import type { EngineState } from './state.ts';

/** The adapters an engine holds; those it was started with are called by their place, from 0 on. */
export class Adapters {
  /** How often one was loaded since the start, and how often unloaded. */
  loads = 0;
  unloads = 0;
  /** The most that were held at a time. */
  most = 0;
  readonly #held: Map<string, string>;

  constructor(atStart: readonly string[]) {
    this.#held = new Map(atStart.map((path, at) => [String(at), path]));
    this.most = atStart.length;
  }

  get held(): HeldAdapters {
    return this.#held;
  }

  add(handle: string, path: string): void {
    this.#held.set(handle, path);
    this.loads += 1;
    this.most = Math.max(this.most, this.#held.size);
  }

  /** Requests under way keep it. */
  remove(handle: string): void {
    this.#held.delete(handle);
    this.unloads += 1;
  }
}

/** A call to load or unload an adapter; undefined for another route, and where all adapters were named at the start. */
export function adapterCall(state: EngineState, route: string): 'load' | 'unload' | undefined {
  const { settings } = state.faults;
  const { prefix } = accents[settings.dialect].adapters;
  if (prefix === undefined || settings.lora_at_start) return undefined;
  if (route === `POST ${prefix}/load_lora_adapter`) return 'load';
  return route === `POST ${prefix}/unload_lora_adapter` ? 'unload' : undefined;
}

export async function changeAdapters(
  state: EngineState,
  call: 'load' | 'unload',
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const accent = accents[state.faults.settings.dialect];
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    const { handle, path } = read(parseBody(await readBody(request)), call);
    const change = call === 'load' ? await load(state, handle, path, left.signal) : unload(state, handle);
    if (change === undefined) return;
    const { status, body } = accent.adapters.answer(change, handle, path, state.adapters.held);
    if (typeof body === 'string') sendText(response, status, 'text/plain; charset=utf-8', body);
    else sendJson(response, status, body);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { message, param, status } = error;
    sendJson(response, status, accent.errorBody(status, { message, type: 'invalid_request_error', param }));
  }
}

function read({ lora_name: handle, lora_path: path }: Fields, call: 'load' | 'unload'): { readonly handle: string; readonly path: string } {
  if (typeof handle !== 'string' || handle === '') throw new RequestError('lora_name: expected a name', 'lora_name');
  if (call === 'unload') return { handle, path: '' };
  if (typeof path !== 'string' || path === '') throw new RequestError('lora_path: expected a path', 'lora_path');
  return { handle, path };
}

/** Undefined where nobody waits for the answer any more. */
async function load(state: EngineState, handle: string, path: string, left: AbortSignal): Promise<AdapterChange | undefined> {
  // As in real engines, a load goes on when the one who asked for it has left.
  await setTimeout(state.faults.settings.lora_load_s * 1000);
  const { adapters } = state;
  if (adapters.held.has(handle)) return 'loaded-before';
  switch (state.faults.settings.lora) {
    case 'refuse':
      return 'unusable';
    case 'fail':
      return 'failed';
    case 'hang':
      if (!left.aborted) await new Promise((resolve) => left.addEventListener('abort', resolve, { once: true }));
      return undefined;
    case 'ok':
      if (!existsSync(path)) return 'missing';
      adapters.add(handle, path);
      return 'loaded';
  }
}

function unload({ adapters }: EngineState, handle: string): AdapterChange {
  if (!adapters.held.has(handle)) return 'not-loaded';
  adapters.remove(handle);
  return 'unloaded';
}
