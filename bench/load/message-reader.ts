export interface MessageEvents {
  /** `startLine` without its line end; `headers` the lines after it, as they came. */
  head(startLine: string, headers: string): void;
  /** A piece of the body, transfer coding removed. The memory belongs to the socket's buffer. */
  body(piece: Buffer): void;
  end(): void;
}

const nothing = Buffer.alloc(0);
const maxLineBytes = 65_536;
const lineEnd = '\r\n';
const headEnd = '\r\n\r\n';

type State = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers';

/**
 * Reads HTTP/1.1 messages, requests or replies, off one connection: bodies by content-length or chunked, none otherwise.
 * Only what this benchmark's own peers send, so that both its ends cost as little as can be.
 */
export class MessageReader {
  readonly #events: MessageEvents;
  #state: State = 'head';
  #held: Buffer = nothing;
  #left = 0;

  constructor(events: MessageEvents) {
    this.#events = events;
  }

  /** Takes what the socket gave. @throws Error on what is not such a message. */
  push(data: Buffer): void {
    let rest = this.#held.length === 0 ? data : Buffer.concat([this.#held, data]);
    this.#held = nothing;
    while (rest.length > 0) {
      const next = this.#step(rest);
      if (next === undefined) {
        if (rest.length > maxLineBytes) throw new Error(`no line end in ${rest.length} bytes of an HTTP head`);
        this.#held = rest;
        return;
      }
      rest = next;
    }
  }

  /** What is left of `data` after the next part of the message; undefined when that part is not complete yet. */
  #step(data: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head(data);
      case 'sized':
      case 'chunk':
        return this.#body(data);
      case 'chunk-size':
        return this.#chunkSize(data);
      case 'chunk-end':
        if (data.length < lineEnd.length) return undefined;
        this.#state = 'chunk-size';
        return data.subarray(lineEnd.length);
      case 'trailers':
        return this.#trailer(data);
    }
  }

  #head(data: Buffer): Buffer | undefined {
    const end = data.indexOf(headEnd);
    if (end === -1) return undefined;
    const text = data.toString('latin1', 0, end + lineEnd.length);
    const line = text.indexOf(lineEnd);
    const headers = text.slice(line);
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(headers)?.[1] ?? 0);
    this.#state = /\r\ntransfer-encoding: *chunked/i.test(headers) ? 'chunk-size' : 'sized';
    this.#events.head(text.slice(0, line), headers);
    if (this.#state === 'sized' && this.#left === 0) this.#end();
    return data.subarray(end + headEnd.length);
  }

  #body(data: Buffer): Buffer {
    const piece = data.length <= this.#left ? data : data.subarray(0, this.#left);
    this.#left -= piece.length;
    this.#events.body(piece);
    if (this.#left === 0) {
      if (this.#state === 'sized') this.#end();
      else this.#state = 'chunk-end';
    }
    return data.subarray(piece.length);
  }

  #chunkSize(data: Buffer): Buffer | undefined {
    const end = data.indexOf(lineEnd);
    if (end === -1) return undefined;
    this.#left = Number.parseInt(data.toString('latin1', 0, end), 16);
    if (Number.isNaN(this.#left)) throw new Error(`not a chunk size: ${JSON.stringify(data.toString('latin1', 0, Math.min(end, 40)))}`);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return data.subarray(end + lineEnd.length);
  }

  #trailer(data: Buffer): Buffer | undefined {
    const end = data.indexOf(lineEnd);
    if (end === -1) return undefined;
    if (end === 0) this.#end();
    return data.subarray(end + lineEnd.length);
  }

  #end(): void {
    this.#state = 'head';
    this.#events.end();
  }
}
