import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import type { Settings } from '../settings.ts';
import { CutError } from './cut-error.ts';
import { compose, paced } from './generate.ts';
import type { Reply } from './generate.ts';
import { chunkBody, completionBody, errorBody, readGeneration, RequestError } from './openai.ts';
import type { Generation, ReplyHead, Usage } from './openai.ts';
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
  const { settings } = state.faults;
  const generation = readOrRefuse(settings, kind, body, response);
  if (generation === undefined) return;
  const left = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished && !state.faults.settings.ignore_close) left.abort(new CutError('the client left'));
  });
  state.open += 1;
  try {
    await generate(state, generation, request, response, AbortSignal.any([left.signal, state.ending]));
    await sent(response);
    left.signal.throwIfAborted();
    state.journal.completed += 1;
  } catch (error) {
    if (left.signal.aborted) state.journal.aborted += 1;
    else if (state.ending.aborted) response.destroy();
    else if (!(error instanceof CutError)) throw error;
  } finally {
    state.open -= 1;
    if (state.open === 0) state.onIdle();
  }
}

/** Resolves when the operating system has the whole reply, or the connection is gone. */
async function sent(response: ServerResponse): Promise<void> {
  if (!response.closed) await new Promise((resolve) => response.once('close', resolve));
}

interface Composed {
  readonly request: Generation;
  readonly reply: Reply;
}

function readOrRefuse(settings: Settings, kind: Generation['kind'], body: Buffer, response: ServerResponse): Composed | undefined {
  try {
    const request = readGeneration(kind, body);
    return { request, reply: compose(settings, request) };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    sendJson(response, 400, errorBody(error.message, 'invalid_request_error', error.param, error.code));
    return undefined;
  }
}

async function generate(
  state: EngineState,
  { request, reply }: Composed,
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
    else if (request.stream) await sendStream(state, { request, reply }, response, signal);
    else await sendWhole(state, { request, reply }, response, signal);
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

async function sendStream(state: EngineState, { request, reply }: Composed, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const { settings } = state.faults;
  const head = headOf(state, request);
  response.writeHead(200, { ...extraHeaders(settings), 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const events = new EventStream(response, settings);
  if (request.kind === 'chat' && settings.sse !== 'norole') await events.send(chunkBody(request.kind, head, { kind: 'role' }));
  for await (const text of tokensOf(state, reply, signal)) {
    await events.sendText(chunkBody(request.kind, head, { kind: 'text', text }));
  }
  await events.send(chunkBody(request.kind, head, { kind: 'finish', reason: reply.finishReason }));
  if (request.includeUsage) await events.send(chunkBody(request.kind, head, { kind: 'usage', usage: usageOf(request, reply) }));
  await events.done();
  response.end();
}

async function sendWhole(state: EngineState, { request, reply }: Composed, response: ServerResponse, signal: AbortSignal): Promise<void> {
  let text = '';
  for await (const token of tokensOf(state, reply, signal)) text += token;
  const { settings } = state.faults;
  const body = completionBody(request.kind, headOf(state, request), text, reply.finishReason, usageOf(request, reply));
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

function headOf(state: EngineState, request: Generation): ReplyHead {
  const prefix = request.kind === 'chat' ? 'chatcmpl' : 'cmpl';
  const created = Math.floor(Date.now() / 1000);
  return { id: `${prefix}-fake-${process.pid}-${state.journal.requests}`, created, model: state.servedName };
}

function usageOf(request: Generation, reply: Reply): Usage {
  const { promptTokens } = request;
  const made = reply.tokens.length;
  return { prompt_tokens: promptTokens, completion_tokens: made, total_tokens: promptTokens + made };
}
