import type { NormalizedRequest } from '../core/request.ts';
import type { EngineRequest } from './engine-plugin.ts';
import { openaiPath } from './openai-path.ts';

export type Body = Readonly<Record<string, unknown>>;

/** A change that some requests need; gives back the very same object where there is nothing to change. */
export type Edit = (body: Body) => Body;

/** In JSON a letter of a key can be written as an escape, and then no search for the key finds it. */
const escape = Buffer.from(String.raw`\u`);

/**
 * The request as the engine should get it: the client's own bytes unless an edit changes them. Only a body in which one of `marks` stands
 * is parsed at all. A changed body is written anew, and integers beyond 2^53 in it lose digits.
 * @param marks parts of the keys that the edits look for.
 * @param servedName the engine's name of the model.
 */
export function editRequest(
  request: NormalizedRequest,
  marks: readonly Buffer[],
  servedName: string,
  edits: readonly Edit[],
): EngineRequest {
  const path = openaiPath[request.operation];
  const raw = Buffer.from(request.raw.buffer, request.raw.byteOffset, request.raw.byteLength);
  const renamed = request.requestedModel !== servedName;
  if (!renamed && ![escape, ...marks].some((mark) => raw.includes(mark))) return { path, body: request.raw };
  const before = request.body();
  const after = edits.reduce((body, edit) => edit(body), before);
  if (after === before && !renamed) return { path, body: request.raw };
  return { path, body: Buffer.from(JSON.stringify(renamed ? { ...after, model: servedName } : after)) };
}

/** Leaves top-level fields out. */
export function without(body: Body, names: ReadonlySet<string>): Body {
  if (!Object.keys(body).some((name) => names.has(name))) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.has(name)));
}

export function isMapping(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
