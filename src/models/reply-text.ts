import type { ReplyHead } from './http-reply-head.ts';

/** The text of a reply as it comes. */
export interface ReplyText {
  /** Bytes of the text so far. */
  readonly length: number;
  /** All of it has come; one that ends with its connection never knows. */
  readonly ended: boolean;
  /** Something has come behind its end. */
  readonly surplus: boolean;
  /** @param bytes are copied @throws Error where they cannot be read */
  add(bytes: Buffer): void;
  bytes(): Buffer;
}

export const textOf = (body: ReplyHead['body']): ReplyText =>
  body === 'chunked' ? new ChunkedText() : new SizedText(body === 'until-close' ? Number.POSITIVE_INFINITY : body);

class SizedText implements ReplyText {
  readonly #size: number;
  readonly #parts: Buffer[] = [];
  length = 0;
  surplus = false;

  constructor(size: number) {
    this.#size = size;
  }

  get ended(): boolean {
    return this.length === this.#size;
  }

  add(bytes: Buffer): void {
    const room = this.#size - this.length;
    this.surplus ||= bytes.length > room;
    const part = Buffer.from(bytes.length > room ? bytes.subarray(0, room) : bytes);
    this.#parts.push(part);
    this.length += part.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const lineEnd = '\r\n';
const longestLine = 16 * 1024;
const chunkSize = /^[0-9a-f]{1,8}(?=[;\s]|$)/i;

/** RFC 9112, 7.1. Extensions of chunks, and headers behind the last one, say nothing. */
class ChunkedText implements ReplyText {
  readonly #parts: Buffer[] = [];
  /** The beginning of a line whose end has not come yet. */
  #line = Buffer.alloc(0);
  /** Of a chunk, with the line's end behind it. */
  #left = 0;
  #isLast = false;
  length = 0;
  ended = false;
  surplus = false;

  add(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.ended) rest = this.#left > 0 ? this.#data(rest) : this.#lines(rest);
    this.surplus ||= rest.length > 0;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #data(bytes: Buffer): Buffer {
    const part = Buffer.from(bytes.subarray(0, Math.max(0, this.#left - lineEnd.length)));
    if (part.length > 0) this.#parts.push(part);
    this.length += part.length;
    const taken = Math.min(this.#left, bytes.length);
    this.#left -= taken;
    return bytes.subarray(taken);
  }

  #lines(bytes: Buffer): Buffer {
    const held = Buffer.concat([this.#line, bytes]);
    const end = held.indexOf(lineEnd);
    if (end < 0 && held.length > longestLine) throw new Error('a line between two chunks of the reply is too long');
    this.#line = end < 0 ? held : Buffer.alloc(0);
    if (end < 0) return held.subarray(held.length);
    this.#took(held.toString('latin1', 0, end));
    return held.subarray(end + lineEnd.length);
  }

  #took(line: string): void {
    if (this.#isLast) {
      this.ended = line === '';
      return;
    }
    const size = chunkSize.exec(line)?.[0];
    if (size === undefined) throw new Error('a chunk of the reply has no size');
    const bytes = Number.parseInt(size, 16);
    this.#isLast = bytes === 0;
    this.#left = bytes === 0 ? 0 : bytes + lineEnd.length;
  }
}
