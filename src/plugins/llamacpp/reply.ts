import type { NormalizedRequest } from '../../core/request.ts';
import type { Capabilities } from '../../core/table.ts';
import { editEvents, inOrder, nameAsAsked, parseObject, replaceMark } from '../reply-mend.ts';
import type { ReplyMender } from '../reply-mend.ts';
import { isMapping, type Mapping } from '../../core/json.ts';
import { completeToolCalls } from '../tool-call-mend.ts';
import { writtenCalls } from '../written-calls.ts';
import { placedEvents } from './responses.ts';
import { asksForWrittenCall } from './tool-choice.ts';
import { writtenResponse } from './written-response.ts';

/** What llama-server 0.7.0 gets wrong in replies. */
export function mend(request: NormalizedRequest, can: Capabilities = {}): ReplyMender {
  const model = nameAsAsked(request, request.model);
  if (request.operation === 'chat') {
    const written = asksForWrittenCall(request, can) ? [writtenCalls()] : [];
    return inOrder([...model, ...written, completeToolCalls, ...(request.stream ? [firstRole()] : [])]);
  }
  switch (request.operation) {
    case 'completions':
      return inOrder([...model, replaceMark('"id":"chatcmpl-', '"id":"cmpl-'), usageApart(request)]);
    case 'tokenize':
      return inOrder([wholeObject((reply) => ({ count: Array.isArray(reply['tokens']) ? reply['tokens'].length : 0, ...reply }))]);
    case 'detokenize':
      return inOrder([wholeObject(({ content, ...reply }) => ({ prompt: content, ...reply }))]);
    case 'responses':
      return inOrder([
        ...model,
        ...(asksForWrittenCall(request, can) ? [writtenResponse()] : []),
        ...(request.stream ? [placedEvents(request)] : []),
      ]);
    case 'messages':
    case 'count_tokens':
    case 'embeddings':
    case 'rerank':
    case 'score':
    case 'transcriptions':
      return inOrder(model);
  }
}

/** Writes the object of a whole reply anew. */
function wholeObject(change: (reply: Mapping) => Mapping): ReplyMender {
  return {
    events: (bytes) => bytes,
    whole: (bytes) => {
      const reply = parseObject(bytes.toString('utf8'));
      return reply === undefined ? bytes : Buffer.from(JSON.stringify(change(reply)));
    },
  };
}

/** The first chunk of a choice has no role where the first token was not a whole character. */
function firstRole(): ReplyMender {
  const begun = new Set<unknown>();
  return {
    whole: (bytes) => bytes,
    events(bytes) {
      // After the first choice's beginning only a stream of several choices (`index` other than 0) can still begin one.
      if (begun.size > 0 && !/"index":[1-9]/u.test(bytes.toString('latin1'))) return bytes;
      return editEvents(bytes, (event) => {
        const [choice] = Array.isArray(event['choices']) ? (event['choices'] as unknown[]) : [];
        if (!isMapping(choice) || !isMapping(choice['delta']) || begun.has(choice['index'])) return undefined;
        begun.add(choice['index']);
        if ('role' in choice['delta']) return undefined;
        return [{ ...event, choices: [{ ...choice, delta: { role: 'assistant', ...choice['delta'] } }] }];
      });
    },
  };
}

/** Usage comes inside the last text chunk, asked for or not; OpenAI sends it alone in a chunk without choices, and only if asked for. */
function usageApart(request: NormalizedRequest): ReplyMender {
  const wanted = request.members.has('stream_options') && wantsUsage(request.body()['stream_options']);
  return {
    whole: (bytes) => bytes,
    events(bytes) {
      if (!bytes.includes('"usage":{')) return bytes;
      return editEvents(bytes, (event) => {
        const { usage, timings, ...rest } = event;
        const last = Array.isArray(event['choices']) && event['choices'].length > 0;
        if (!isMapping(usage) || !last) return undefined;
        const apart: Mapping = { ...rest, choices: [], usage, ...(timings === undefined ? {} : { timings }) };
        return wanted ? [rest, apart] : [{ ...rest, ...(timings === undefined ? {} : { timings }) }];
      });
    },
  };
}

function wantsUsage(options: unknown): boolean {
  return isMapping(options) && options['include_usage'] === true;
}
