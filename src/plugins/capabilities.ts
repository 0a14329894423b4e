import { isMapping } from '../core/json.ts';
import type { Capabilities } from '../core/table.ts';
import type { Probe } from './engine-plugin.ts';

/** How an engine that is ready tells what it can do with its model. */
export interface CapabilityProbe {
  /** Authenticated; a 200 with JSON. */
  readonly probe: Probe;
  /** What that JSON tells; nothing where it is not what was expected. */
  readonly read: (body: unknown) => Capabilities;
}

/** `max_model_len` of the base model in a model list, as vLLM and SGLang give it; adapters have a parent and no length. */
export function readMaxModelLen(body: unknown): Capabilities {
  const entries: readonly unknown[] = isMapping(body) && Array.isArray(body['data']) ? body['data'] : [];
  const base = entries.find((entry) => isMapping(entry) && typeof entry['parent'] !== 'string');
  return isMapping(base) ? lengthOf(base['max_model_len']) : {};
}

/** A context length, where it is one. */
export function lengthOf(tokens: unknown): Capabilities {
  return typeof tokens === 'number' && Number.isSafeInteger(tokens) && tokens > 0 ? { maxModelLen: tokens } : {};
}

/** Whether it shows its model tools, where that was told. */
export function toolsOf(told: unknown): Capabilities {
  return typeof told === 'boolean' ? { tools: told } : {};
}

/** Whether it sees images, where that was told. */
export function visionOf(told: unknown): Capabilities {
  return typeof told === 'boolean' ? { vision: told } : {};
}
