import type { ServerResponse } from 'node:http';
import type { GatewayError } from '../core/errors.ts';
import type { Api } from './operations.ts';
import { type ErrorReply, errorReply } from './openai/error-body.ts';

/** The engine's head, as far as it is passed on. */
export interface ReplyHead {
  readonly status: number;
  readonly contentType: string;
  readonly contentLength: string | undefined;
}

export const isEventStream = (contentType: string): boolean => contentType.startsWith('text/event-stream');

/** What one client gets, in the order in which HTTP allows it: one head, bytes, one end - or one error in the form that is still possible. */
export class ClientReply {
  readonly #raw: ServerResponse;
  readonly #requestId: string;
  readonly #api: Api;
  #kind: 'untouched' | 'plain' | 'events' = 'untouched';
  #notes: readonly string[] = [];
  /** When the client stopped reading what was written; undefined while it keeps up. */
  #stalledAt: number | undefined;

  constructor(raw: ServerResponse, requestId: string, api: Api) {
    this.#raw = raw;
    this.#requestId = requestId;
    this.#api = api;
  }

  /** Whether the client has any byte: then nothing can be a real HTTP status any more. */
  get begun(): boolean {
    return this.#kind !== 'untouched';
  }

  get stalledAt(): number | undefined {
    return this.#stalledAt;
  }

  /** A header of whatever head is still to be sent; a later one takes its place. */
  note(name: string, value: string): void {
    this.#notes = [name, value];
  }

  /** Sends the head, once, with `more` header names and values. After a heartbeat only another part of the same event stream can follow; false when `head` is not that. */
  begin(head: ReplyHead, more: readonly string[] = []): boolean {
    const events = isEventStream(head.contentType);
    if (this.#kind === 'events') return events && head.status === 200;
    this.#kind = events ? 'events' : 'plain';
    const headers = ['content-type', head.contentType, 'x-request-id', this.#requestId, ...this.#notes, ...more];
    if (events) headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no');
    else if (head.contentLength !== undefined) headers.push('content-length', head.contentLength);
    this.#raw.writeHead(head.status, headers);
    return true;
  }

  /** A comment in the event stream, which keeps clients and proxies from giving up. Sends the stream's head if need be. */
  heartbeat(text: string): void {
    if (this.#kind === 'plain' || this.#stalledAt !== undefined) return;
    if (this.#kind === 'untouched') this.begin({ status: 200, contentType: 'text/event-stream; charset=utf-8', contentLength: undefined });
    this.#raw.write(`: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`);
  }

  /** False when the client does not keep up: then `onDrained` is called once it has caught up. `now`: of the caller's clock. */
  write(bytes: Buffer, now: number, onDrained: () => void): boolean {
    if (this.#raw.write(bytes)) return true;
    if (this.#stalledAt !== undefined) return false;
    this.#stalledAt = now;
    this.#raw.once('drain', () => {
      this.#stalledAt = undefined;
      onDrained();
    });
    return false;
  }

  end(last?: string | Buffer): void {
    if (last === undefined) this.#raw.end();
    else this.#raw.end(last);
  }

  /** A whole reply with a status of its own while the client has no byte; false when it is too late for that. */
  answer(reply: ErrorReply): boolean {
    if (this.#kind !== 'untouched') return false;
    this.#kind = 'plain';
    this.#raw.writeHead(reply.status, [
      ...Object.entries(reply.headers).flat(),
      'content-type',
      'application/json; charset=utf-8',
      'content-length',
      String(Buffer.byteLength(reply.body)),
      'x-request-id',
      this.#requestId,
      ...this.#notes,
    ]);
    this.#raw.end(reply.body);
    return true;
  }

  /** Says that it went wrong: a real status, the stream's last event, or - a reply with a length cannot say that it broke - a cut connection. */
  fail(error: GatewayError): void {
    const reply = errorReply(error, this.#api);
    if (this.answer(reply)) return;
    if (this.#kind === 'events') this.#raw.end(reply.event);
    else this.cut();
  }

  /** Passes an engine's refusal on: as it is, or as the stream's last event. */
  refuse(reply: ErrorReply): void {
    if (!this.answer(reply)) this.#raw.end(reply.event);
  }

  cut(): void {
    this.#raw.destroy();
  }
}
