import type { Agent, Dispatcher, request as requestOf } from 'undici';
import { at, list, parse } from './json.ts';

export interface ApiReply {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  /** Parsed; undefined where the body is not JSON. */
  readonly json: unknown;
}

/** A stream of events, read to its end. */
export interface StreamReply extends ApiReply {
  /** The `data:` payloads, `[DONE]` among them. */
  readonly events: readonly string[];
}

export interface ApiOptions {
  /** The gateway's address and, if it has one, the application's prefix; without `/v1`. */
  readonly url: string;
  readonly apiKey?: string;
  /** Of one request, its reply included, in milliseconds. */
  readonly timeoutMs: number;
}

/** The OpenAI-compatible API of a running gateway, as a client sees it. Its requests reject when no whole reply comes. */
export class Api {
  readonly #options: ApiOptions;
  /** Of its own, so that closing it leaves no socket behind. */
  readonly #http = openHttp();

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  async get(path: string): Promise<ApiReply> {
    return await this.#whole('GET', path, undefined);
  }

  async post(path: string, body: object): Promise<ApiReply> {
    return await this.#whole('POST', path, body);
  }

  async chat(body: object): Promise<ApiReply> {
    return await this.post('/v1/chat/completions', body);
  }

  /** Adds `stream: true` to the body. */
  async stream(path: string, body: object): Promise<StreamReply> {
    const reply = await this.#whole('POST', path, { ...body, stream: true });
    return { ...reply, events: eventData(reply.text) };
  }

  /** Starts a stream, waits for its first event, and leaves. @returns the status, and the first event where there was one. */
  async leaveStream(path: string, body: object): Promise<{ readonly status: number; readonly first: string }> {
    const reply = await this.#send('POST', path, { ...body, stream: true });
    let first = '';
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      first += chunk.toString('utf8');
      // Leaving the loop destroys the body, and with it the connection.
      if (/^data: /m.test(first)) break;
    }
    return { status: reply.statusCode, first };
  }

  async close(): Promise<void> {
    await (await this.#http).agent.destroy();
  }

  async #whole(method: 'GET' | 'POST', path: string, body: object | undefined): Promise<ApiReply> {
    const reply = await this.#send(method, path, body);
    const text = await reply.body.text();
    return { status: reply.statusCode, headers: reply.headers, text, json: parse(text) };
  }

  async #send(method: 'GET' | 'POST', path: string, body: object | undefined): Promise<Dispatcher.ResponseData> {
    const { url, apiKey, timeoutMs } = this.#options;
    const headers: Record<string, string> = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (apiKey !== undefined) headers['authorization'] = `Bearer ${apiKey}`;
    const { agent, request } = await this.#http;
    return await request(url + path, {
      method,
      headers,
      dispatcher: agent,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** undici is loaded only when something is asked: commands that list these scenarios need none of it. */
async function openHttp(): Promise<{ readonly agent: Agent; readonly request: typeof requestOf }> {
  const undici = await import('undici');
  return { agent: new undici.Agent(), request: undici.request };
}

/** The `data:` payloads of an event stream, in order. */
function eventData(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trim());
}

/** What the first choice says. */
export const contentOf = (reply: ApiReply): unknown => at(reply.json, 'choices', 0, 'message', 'content');

export const finishOf = (reply: ApiReply): unknown => at(reply.json, 'choices', 0, 'finish_reason');

/** The text of a stream's first choice. */
export function streamText(events: readonly string[]): string {
  return events.map((event) => at(parse(event), 'choices', 0, 'delta', 'content')).join('');
}

/** Parsed choices of all events of a stream. */
export function choicesOf(events: readonly string[]): readonly unknown[] {
  return events.flatMap((event) => list(at(parse(event), 'choices')));
}
