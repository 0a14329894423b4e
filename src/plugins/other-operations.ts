import type { NormalizedRequest } from '../core/request.ts';
import type { EngineRequest } from './engine-plugin.ts';
import type { EnginePaths } from './openai-path.ts';
import { RequestDraft } from './request-draft.ts';
import { leaveOutInternal } from './unsupported.ts';

/** Whether a request is one of the two whose parameters dialects translate; the others go on nearly as they came. */
export function isGeneration({ operation }: NormalizedRequest): boolean {
  return operation === 'chat' || operation === 'completions';
}

/** A request on its way to an engine that takes it as the client wrote it, but for the model's name and what is not a client's business. */
export function asItCame(
  request: NormalizedRequest,
  { served, internal, paths }: { served: string; internal: readonly string[]; paths: EnginePaths },
  change: (draft: RequestDraft) => void = () => undefined,
): EngineRequest {
  if (request.form !== undefined) return formFor(request, request.form, served, paths);
  const draft = new RequestDraft(request);
  // Not every engine's other routes take a request without it.
  if (request.requestedModel !== served || !draft.has('model')) draft.set('model', served);
  leaveOutInternal(draft, internal);
  change(draft);
  return draft.toRequest(paths);
}

/** A form byte for byte, but for the model's name. */
function formFor(
  request: NormalizedRequest,
  form: NonNullable<NormalizedRequest['form']>,
  served: string,
  paths: EnginePaths,
): EngineRequest {
  const path = paths[request.operation] ?? '';
  const { contentType, model } = form;
  if (model === undefined) return { path, body: withPart(request.raw, contentType, served), contentType };
  if (request.requestedModel === served) return { path, body: request.raw, contentType };
  const body = Buffer.concat([request.raw.subarray(0, model.start), Buffer.from(served), request.raw.subarray(model.end)]);
  return { path, body, contentType };
}

/** The form with a first part more: the model that the client left out. */
function withPart(raw: Uint8Array, contentType: string, served: string): Buffer {
  // What the form was taken apart with, so that it is there.
  const boundary = /boundary="?([^";]+)"?/iu.exec(contentType)?.[1] ?? '';
  return Buffer.concat([Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n${served}\r\n`), raw]);
}
