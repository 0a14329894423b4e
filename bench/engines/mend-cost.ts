import { modelName } from '../../src/core/ids.ts';
import type { NormalizedRequest } from '../../src/core/request.ts';
import { eventOf } from '../../src/core/server-sent-events.ts';
import { scanObject } from '../../src/gateway/openai/scan.ts';
import type { EnginePlugin } from '../../src/plugins/engine-plugin.ts';
import { median } from '../measure/statistics.ts';

const blocks = 9;
const timesPerBlock = 4000;
const model = 'org/model';

/** Median nanoseconds of what an engine's dialect does, in the gateway's hot path. */
export interface MendCost {
  /** A chat of this many bytes in the engine's words. */
  readonly request: number;
  /** One event of about 200 bytes, of a stream that is on its way. */
  readonly event: number;
  /** A whole reply of about 1 KB. */
  readonly whole: number;
}

/** @param asked the client's name for the model; another than `org/model` is written into the request and every event. */
export function mendCost({ dialect }: EnginePlugin, asked: string, requestBytes: number): MendCost {
  const request = chatOf(asked, requestBytes);
  const head = { id: 'chatcmpl-1', created: 1, model };
  const choice = { index: 0, delta: { content: ' word' }, logprobs: null, finish_reason: null };
  const event = Buffer.from(eventOf(JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [choice] })));
  const message = { role: 'assistant', content: 'word '.repeat(160) };
  const reply = { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] };
  const whole = Buffer.from(JSON.stringify(reply));
  const mender = dialect.mend?.(request);
  return {
    request: cost(() => dialect.toEngine(request, 'attempt')),
    event: cost(() => mender?.events(event)),
    whole: cost(() => mender?.whole(whole)),
  };
}

function chatOf(asked: string, bytes: number): NormalizedRequest {
  const body = { model: asked, stream: true, max_tokens: 64, messages: [{ role: 'user', content: '' }] };
  const [only] = body.messages;
  if (only !== undefined) only.content = 'x'.repeat(bytes - JSON.stringify(body).length);
  const raw = Buffer.from(JSON.stringify(body));
  return {
    operation: 'chat',
    model: modelName(model),
    requestedModel: asked,
    stream: true,
    raw,
    members: scanObject(raw),
    text: () => undefined,
    value: (name) => body[name as keyof typeof body],
    body: () => body,
  };
}

function cost(once: () => unknown): number {
  const block = (): number => {
    const began = performance.now();
    for (let time = 0; time < timesPerBlock; time += 1) once();
    return ((performance.now() - began) * 1e6) / timesPerBlock;
  };
  for (let warmUp = 0; warmUp < 3; warmUp += 1) block();
  return median(Array.from({ length: blocks }, block));
}
