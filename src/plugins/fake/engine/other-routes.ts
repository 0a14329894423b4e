import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { type Fields, errorBody, parseBody, RequestError, tokenize } from './openai.ts';
import { readBody, refuse, sendJson } from './respond.ts';
import type { EngineState } from './state.ts';

type Answer = (fields: Fields, state: EngineState) => object;

/** What it serves beside generations: plausible replies, computed from the request alone. */
const answers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['/v1/embeddings', embed],
  ['/v1/rerank', rerank],
  ['/v1/score', score],
  ['/tokenize', ({ prompt }) => ({ count: idsOf(prompt).length, tokens: idsOf(prompt) })],
  ['/detokenize', ({ tokens }) => ({ prompt: list(tokens).map(letterOf).join('') })],
  ['/v1/messages/count_tokens', ({ messages }) => ({ input_tokens: tokenize(textOf(messages)).length })],
  ['/v1/responses', respond],
  ['/v1/messages', message],
]);

export function isOtherRoute(method: string | undefined, path: string): boolean {
  return method === 'POST' && (answers.has(path) || path === '/v1/audio/transcriptions');
}

/** Answers one of them, with the same faults before the reply as a generation has. */
export async function answerOther(state: EngineState, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  state.journal.saw(request, path, body);
  const fate = state.faults.requestArrived();
  if (fate.kind === 'exit') return state.crash();
  if (fate.kind === 'drop') {
    request.socket.resetAndDestroy();
    return;
  }
  if (fate.kind === 'refuse') return refuse(response, state.faults.settings, fate.status);
  await setTimeout(state.faults.settings.prefill_s * 1000);
  if (path === '/v1/audio/transcriptions') return sendJson(response, 200, { text: `${body.length} bytes of form` });
  try {
    const fields = parseBody(body);
    const reply = answers.get(path)?.(fields, state) ?? {};
    if (fields['stream'] === true && path in streams) await stream(state, path as keyof typeof streams, reply, response);
    else sendJson(response, 200, reply);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    sendJson(response, 400, errorBody(error.message, 'invalid_request_error'));
  }
  state.journal.completed += 1;
}

const idsOf = (text: unknown): number[] => Array.from(String(text), (letter) => letter.codePointAt(0) ?? 0);
/** A token is a letter's code point. @throws RequestError */
function letterOf(token: unknown): string {
  if (typeof token !== 'number' || !Number.isInteger(token) || token < 0 || token > 0x10_ffff)
    throw new RequestError(`tokens: got ${JSON.stringify(token)}, expected whole numbers from 0 to 1114111`, 'tokens');
  return String.fromCodePoint(token);
}
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

/** Texts anywhere in a conversation, in order. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(textOf).join(' ');
  if (typeof value !== 'object' || value === null) return '';
  const { text, content } = value as { text?: unknown; content?: unknown };
  return textOf(text ?? content);
}

/** Eight numbers that are the same for the same text. */
function vector(text: string): number[] {
  const sums = Array.from({ length: 8 }, () => 0);
  for (const [at, id] of idsOf(text).entries()) sums[at % 8] = ((sums[at % 8] ?? 0) * 31 + id) % 1000;
  const length = Math.hypot(...sums) || 1;
  return sums.map((sum) => sum / length);
}

function alike(left: unknown, right: unknown): number {
  const other = vector(textOf(right));
  return vector(textOf(left)).reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}

function embed({ input, encoding_format: format }: Fields, { servedName }: EngineState): object {
  const data = list(input).map((text, index) => {
    const numbers = vector(textOf(text));
    const embedding = format === 'base64' ? Buffer.from(Float32Array.from(numbers).buffer).toString('base64') : numbers;
    return { object: 'embedding', index, embedding };
  });
  const tokens = tokenize(textOf(input)).length;
  return { object: 'list', model: servedName, data, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function rerank({ query, documents, top_n: top }: Fields, { servedName }: EngineState): object {
  const scored = list(documents).map((document, index) => ({
    index,
    relevance_score: alike(query, document),
    document: { text: textOf(document) },
  }));
  const results = scored.toSorted((left, right) => right.relevance_score - left.relevance_score);
  return { id: 'rerank-fake', model: servedName, results: typeof top === 'number' ? results.slice(0, top) : results };
}

function score({ text_1: left, text_2: right }: Fields, { servedName }: EngineState): object {
  const lefts = list(left);
  const data = list(right).map((text, index) => ({ index, object: 'score', score: alike(lefts[index] ?? lefts[0], text) }));
  return { id: 'score-fake', object: 'list', created: 0, model: servedName, data };
}

function respond({ input }: Fields, { servedName }: EngineState): object {
  const text = textOf(list(input).at(-1));
  const content = [{ type: 'output_text', text, annotations: [] }];
  const output = [{ type: 'message', id: 'msg-fake', role: 'assistant', status: 'completed', content }];
  const tokens = tokenize(text).length;
  const usage = { input_tokens: tokens, output_tokens: tokens, total_tokens: 2 * tokens };
  return { id: 'resp-fake', object: 'response', created_at: 0, status: 'completed', model: servedName, output, usage };
}

function message({ messages }: Fields, { servedName }: EngineState): object {
  const text = textOf(list(messages).at(-1));
  const tokens = tokenize(text).length;
  const content = [{ type: 'text', text }];
  const usage = { input_tokens: tokens, output_tokens: tokens };
  return {
    id: 'msg-fake',
    type: 'message',
    role: 'assistant',
    model: servedName,
    content,
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage,
  };
}

interface StreamEvent {
  readonly type: string;
  readonly [more: string]: unknown;
}

type Events = (text: string, reply: object) => readonly StreamEvent[];

const streams = {
  '/v1/responses': responseEvents,
  '/v1/messages': messageEvents,
} satisfies Record<string, Events>;

function responseEvents(text: string, response: object): readonly StreamEvent[] {
  const place = { item_id: 'msg-fake', output_index: 0, content_index: 0 };
  const events = [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
    ...tokenize(text).map((delta) => ({ type: 'response.output_text.delta', ...place, delta })),
    { type: 'response.output_text.done', ...place, text },
    { type: 'response.completed', response },
  ];
  return events.map((event, at) => ({ ...event, sequence_number: at }));
}

function messageEvents(text: string, reply: object): readonly StreamEvent[] {
  return [
    { type: 'message_start', message: { ...reply, content: [], stop_reason: null } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...tokenize(text).map((word) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: tokenize(text).length } },
    { type: 'message_stop' },
  ];
}

async function stream(state: EngineState, path: keyof typeof streams, reply: object, response: ServerResponse): Promise<void> {
  const { output, content } = reply as { output?: unknown; content?: unknown };
  const { settings } = state.faults;
  const events: Events = streams[path];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const [at, event] of events(textOf(output ?? content), reply).entries()) {
    if (settings.sse === 'cut' && at === settings.sse_after) {
      response.destroy();
      return;
    }
    await new Promise((resolve) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, resolve));
    if (settings.tokens_per_s > 0) await setTimeout(1000 / settings.tokens_per_s);
  }
  response.end();
}
