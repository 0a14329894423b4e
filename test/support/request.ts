import { modelName } from '../../src/core/ids.ts';
import type { NormalizedRequest, Operation } from '../../src/core/request.ts';
import { scanObject } from '../../src/gateway/openai/scan.ts';

/** A request past the edge, with `text` for its body. */
export function requestOf(operation: Operation, text: string): NormalizedRequest {
  const parsed = JSON.parse(text) as Record<string, unknown>;
  const raw = Buffer.from(text);
  return {
    operation,
    model: modelName('public/id'),
    requestedModel: 'public/id',
    stream: parsed['stream'] === true,
    raw,
    members: scanObject(raw),
    value: (name) => parsed[name],
    text: (name) => (typeof parsed[name] === 'string' ? parsed[name] : undefined),
    body: () => parsed,
  };
}
