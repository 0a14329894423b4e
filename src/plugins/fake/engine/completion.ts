import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { accents } from './accent.ts';
import { CutError } from './cut-error.ts';
import { compose, paced } from './generate.ts';
import type { Reply } from './generate.ts';
import { chunkBody, completionBody, errorBody, parseBody, readGeneration, RequestError } from './openai.ts';
import type { Fields, Generation, ReplyHead, Usage } from './openai.ts';
import { extraHeaders, readBody, refuse, sendJson, sendText, sendTwoLengths } from './respond.ts';
import { EventStream } from './sse.ts';
import type { EngineState } from './state.ts';

/** Serves one generation request from arrival to end, with whatever fate the faults have for it. */
export async function complete(
  state: EngineState,
  kind: Generation['kind'],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  state.journal.saw(request, path, body);
  if (state.asleep) {
    state.journal.disturbed += 1;
    sendJson(response, 500, errorBody('The engine sleeps.', 'server_error'));
    return;
  }
  const fate = state.faults.requestArrived();
  switch (fate.kind) {
    case 'exit':
      return state.crash();
    case 'drop':
      request.socket.resetAndDestroy();
      return;
    case 'refuse':
      refuse(response, state.faults.settings, fate.status);
      return;
    case 'serve':
      await serve(state, kind, body, request, response);
  }
}

async function serve(
  state: EngineState,
  kind: Generation['kind'],
  body: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const generation = readOrRefuse(state, kind, body, response);
  if (generation === undefined) return;
  const accent = accents[state.faults.settings.dialect];
  const left = new AbortController();
  const leave = (): void => left.abort(new CutError('nobody wants it any more'));
  response.once('close', () => {
    if (!response.writableFinished && !state.faults.settings.ignore_close && !accent.abortsByName) leave();
  });
  if (accent.abortsByName) state.byName.set(generation.head.id, leave);
  state.open += 1;
  try {
    await generate(state, generation, request, response, AbortSignal.any([left.signal, state.ending]));
    await sent(response);
    left.signal.throwIfAborted();
    state.journal.completed += 1;
  } catch (error) {
    if (left.signal.aborted) state.journal.aborted += 1;
    if (left.signal.aborted || state.ending.aborted) endEarly(accent.saysAbort, generation, response);
    else if (!(error instanceof CutError)) throw error;
  } finally {
    state.byName.delete(generation.head.id);
    state.open -= 1;
    if (state.open === 0) state.onIdle();
  }
}

/** What a client that is still there gets of a reply that the engine ends before its time. */
function endEarly(saysAbort: boolean, { request, reply, head }: Composed, response: ServerResponse): void {
  if (response.destroyed || response.writableEnded) return;
  if (!saysAbort || (request.stream && !response.headersSent)) response.destroy();
  else if (request.stream) {
    const last = chunkBody(request.kind, head, { kind: 'finish', reason: 'abort' });
    response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`);
  } else sendJson(response, 200, completionBody(request.kind, head, '', 'abort', usageOf(request, reply)));
}

/** `POST /abort_request`: ends the generation that `rid` names. A name that is unknown is no mistake. */
export function abortByName({ byName }: EngineState, body: Buffer, response: ServerResponse): void {
  try {
    const { rid } = parseBody(body);
    if (typeof rid === 'string') byName.get(rid)?.();
    sendJson(response, 200, {});
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    sendJson(response, error.status, accents.sglang.errorBody(error.status, { message: error.message, type: 'invalid_request_error' }));
  }
}

/** Resolves when the operating system has the whole reply, or the connection is gone. */
async function sent(response: ServerResponse): Promise<void> {
  if (!response.closed) await new Promise((resolve) => response.once('close', resolve));
}

interface Composed {
  readonly request: Generation;
  readonly reply: Reply;
  readonly head: ReplyHead;
}

function readOrRefuse(state: EngineState, kind: Generation['kind'], body: Buffer, response: ServerResponse): Composed | undefined {
  const { settings } = state.faults;
  const accent = accents[settings.dialect];
  try {
    const fields = parseBody(body);
    const adapter = accent.adapters.chosen(fields, state.servedName, state.adapters.held);
    accent.check(fields);
    const request = readGeneration(kind, fields);
    return { request, reply: compose(settings, request, adapter), head: headOf(state, request, fields, adapter) };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { message, param, code, status } = error;
    sendJson(response, status, accent.errorBody(status, { message, type: 'invalid_request_error', param, code }));
    return undefined;
  }
}

async function generate(
  state: EngineState,
  composed: Composed,
  incoming: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { settings } = state.faults;
  const leave = await state.slots.take(signal);
  try {
    await setTimeout(settings.prefill_s * 1000, undefined, { signal });
    await state.faults.pass(signal);
    if (settings.headers === 'duplicate-length') await sendTwoLengths(incoming);
    else if (settings.reply === 'html') sendText(response, 200, 'text/html', '<html><body>It works!</body></html>');
    else if (settings.reply === 'empty') response.end();
    else if (composed.request.stream) await sendStream(state, composed, response, signal);
    else await sendWhole(state, composed, response, signal);
  } finally {
    leave();
  }
}

async function* tokensOf(state: EngineState, reply: Reply, signal: AbortSignal): AsyncGenerator<string> {
  for await (const token of paced(reply.tokens, () => state.faults.settings.tokens_per_s, signal)) {
    await state.faults.pass(signal);
    yield token;
    state.journal.tokens += 1;
    state.faults.tokenSent();
  }
}

async function sendStream(state: EngineState, composed: Composed, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const { request, reply, head } = composed;
  const { settings } = state.faults;
  const accent = accents[settings.dialect];
  response.writeHead(200, { ...extraHeaders(settings), 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const events = new EventStream(response, settings);
  if (request.kind === 'chat' && accent.firstRole && settings.sse !== 'norole')
    await events.send(chunkBody(request.kind, head, { kind: 'role' }));
  for await (const text of tokensOf(state, reply, signal)) {
    await events.sendText(chunkBody(request.kind, head, { kind: 'text', text }));
  }
  const inside = request.kind === 'completions' && accent.completionUsage === 'inside' ? { usage: usageOf(request, reply) } : {};
  await events.send({ ...chunkBody(request.kind, head, { kind: 'finish', reason: reply.finishReason }), ...inside });
  if (request.includeUsage && !('usage' in inside))
    await events.send(chunkBody(request.kind, head, { kind: 'usage', usage: usageOf(request, reply) }));
  await events.done();
  const { socket } = response;
  response.end(() => (accent.closesAfterStream ? socket?.end() : undefined));
}

async function sendWhole(
  state: EngineState,
  { request, reply, head }: Composed,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  let text = '';
  for await (const token of tokensOf(state, reply, signal)) text += token;
  const { settings } = state.faults;
  const body = completionBody(request.kind, head, text, reply.finishReason, usageOf(request, reply));
  if (settings.reply !== 'cut') {
    sendJson(response, 200, body, extraHeaders(settings));
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  // Destroyed only once the half is written, or the client would see no reply at all.
  await new Promise((resolve) => response.write(bytes.subarray(0, bytes.length >> 1), resolve));
  response.destroy();
  throw new CutError('cut in the middle of the body');
}

function headOf(state: EngineState, request: Generation, fields: Fields, adapter: string | undefined): ReplyHead {
  const prefix = request.kind === 'chat' ? 'chatcmpl' : 'cmpl';
  const created = Math.floor(Date.now() / 1000);
  const accent = accents[state.faults.settings.dialect];
  const id = accent.replyId(fields, `${prefix}-fake-${process.pid}-${state.journal.requests}`);
  const model = adapter === undefined ? state.servedName : accent.adapters.replyName(state.servedName, adapter);
  return { id, created, model };
}

function usageOf(request: Generation, reply: Reply): Usage {
  const { promptTokens } = request;
  const made = reply.tokens.length;
  return { prompt_tokens: promptTokens, completion_tokens: made, total_tokens: promptTokens + made };
}
