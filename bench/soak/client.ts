import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import { isMapping, parseJson } from '../../src/core/json.ts';
import { dataOf, doneEvent, splitEvents } from '../../src/core/server-sent-events.ts';
import type { Ask } from './schedule.ts';

/** How a request ended, as its client saw it. */
export type End =
  /** All of the reply came, and it was the right one. */
  | 'complete'
  /** All of a reply came, but not the right one. */
  | 'wrong'
  /** The client had gone before the end. */
  | 'left'
  /** An error with a status of its own, instead of a reply. */
  | 'refused'
  /** An error event after part of a stream. */
  | 'broken'
  /** The reply stopped without a word. */
  | 'cut'
  /** The connection went without a byte of a reply. */
  | 'lost';

export interface Outcome {
  readonly ask: Ask;
  readonly end: End;
  /** HTTP status; 0 where none came. */
  readonly status: number;
  /** What went wrong, for a person; empty where nothing did. */
  readonly detail: string;
}

/** Longest silence of the gateway that a client bears: a heartbeat is due every 10 s. */
const patienceMs = 60_000;
const longestDetail = 300;

/** Sends one request and sees it to its end; never rejects. `word`: what the engine is to say, over and over. */
export async function carryOut(ask: Ask, word: string, url: string, dispatcher: Dispatcher): Promise<Outcome> {
  const { manner } = ask;
  const left = new AbortController();
  const leaving = manner.kind === 'leave' ? setTimeout(() => left.abort(), manner.afterMs) : undefined;
  const ended = (end: End, status: number, detail = ''): Outcome => ({
    ask,
    end: left.signal.aborted && end !== 'complete' ? 'left' : end,
    status,
    detail: detail.slice(0, longestDetail),
  });
  let status = 0;
  try {
    const stream = manner.kind === 'whole' ? false : manner.kind === 'leave' ? manner.stream : true;
    const { statusCode, body } = await request(`${url}/v1/chat/completions`, {
      method: 'POST',
      dispatcher,
      signal: left.signal,
      headersTimeout: patienceMs,
      bodyTimeout: patienceMs,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: ask.model, stream, max_tokens: ask.tokens, messages: [{ role: 'user', content: word }] }),
    });
    status = statusCode;
    const pieces: Buffer[] = [];
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      if (manner.kind === 'slow') await sleep(manner.restMs);
    }
    const text = Buffer.concat(pieces).toString();
    if (status !== 200) return ended('refused', status, text);
    const expected = Array.from({ length: ask.tokens }, () => word).join(' ');
    return stream ? ended(...endOfStream(text, expected)) : ended(...endOfWhole(text, expected));
  } catch (error) {
    return ended(status === 0 ? 'lost' : 'cut', status, String(error));
  } finally {
    clearTimeout(leaving);
  }
}

/** What a stream came to that the server has ended. */
export function endOfStream(text: string, expected: string): [End, number, string] {
  let said = '';
  for (const event of splitEvents(text)) {
    const chunk = parseJson(dataOf(event) ?? '');
    if (!isMapping(chunk)) continue;
    if (chunk['error'] !== undefined) return ['broken', 200, JSON.stringify(chunk['error'])];
    const [choice] = Array.isArray(chunk['choices']) ? (chunk['choices'] as unknown[]) : [];
    const delta = isMapping(choice) ? choice['delta'] : undefined;
    const content = isMapping(delta) ? delta['content'] : undefined;
    if (typeof content === 'string') said += content;
  }
  if (!text.endsWith(doneEvent)) return ['cut', 200, text.slice(-longestDetail)];
  return said === expected ? ['complete', 200, ''] : ['wrong', 200, `${said.length} characters for ${expected.length}`];
}

export function endOfWhole(text: string, expected: string): [End, number, string] {
  const reply = parseJson(text);
  const [choice] = isMapping(reply) && Array.isArray(reply['choices']) ? (reply['choices'] as unknown[]) : [];
  const message = isMapping(choice) ? choice['message'] : undefined;
  const content = isMapping(message) ? message['content'] : undefined;
  return content === expected ? ['complete', 200, ''] : ['wrong', 200, text.slice(0, longestDetail)];
}
