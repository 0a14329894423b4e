import type { Api } from '../operations.ts';

const lf = 0x0a;
const cr = 0x0d;
/** LF CR LF. */
const longestBlankLine = 3;
const doneText = 'data: [DONE]';
/** How an event begins that is an engine's error. Inside a JSON string the quote would stand behind a backslash. */
const errorStarts: Readonly<Record<Api, readonly string[]>> = {
  openai: ['data: {"error"'],
  responses: ['data: {"error"', 'data: {"type":"error"', 'data: {"type": "error"'],
  anthropic: ['data: {"error"', 'data: {"type":"error"', 'data: {"type": "error"'],
};
/** What the last event of a stream has that names its end; chunks end with `[DONE]`. */
const endings: Readonly<Record<Exclude<Api, 'openai'>, RegExp>> = {
  responses: /"type": ?"response\.(?:completed|incomplete|failed|cancelled)"/u,
  anthropic: /"type": ?"message_stop"/u,
};

/** Longest event held back while its end has not arrived. */
export const maxEventBytes = 8 * 1024 * 1024;

/** The place after the last complete event in `bytes`: behind its blank line; 0 when there is none. */
export function endOfLastEvent(bytes: Buffer): number {
  let at = bytes.length;
  while (at >= 2) {
    const newline = bytes.lastIndexOf(lf, at - 1);
    if (newline < 1) return 0;
    const before = bytes[newline - 1];
    if (before === lf || (before === cr && newline >= 2 && bytes[newline - 2] === lf)) return newline + 1;
    at = newline;
  }
  return 0;
}

function endsWithDone(events: Buffer): boolean {
  let end = events.length;
  while (end > 0 && (events[end - 1] === lf || events[end - 1] === cr)) end -= 1;
  const start = end - doneText.length;
  return start >= 0 && events[end - 1] === 0x5d && events.toString('latin1', start, end) === doneText;
}

/** The beginning of an event whose end has not come, in memory that grows by doubling: an event may come in any number of pieces. */
class Held {
  #memory: Buffer = Buffer.alloc(0);
  length = 0;

  /** @throws RangeError above `maxEventBytes` */
  add(piece: Buffer): void {
    const length = this.length + piece.length;
    if (length > maxEventBytes) throw new RangeError(`an event of more than ${maxEventBytes} bytes`);
    if (length > this.#memory.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#memory.length));
      this.#memory.copy(grown, 0, 0, this.length);
      this.#memory = grown;
    }
    piece.copy(this.#memory, this.length);
    this.length = length;
  }

  /** All of it and what comes after it; it is empty then. */
  takeWith(rest: Buffer): Buffer {
    const whole = Buffer.concat([this.#memory.subarray(0, this.length), rest]);
    this.#memory = Buffer.alloc(0);
    this.length = 0;
    return whole;
  }

  /** The end of `next`'s last event, where `next` comes after what is held; 0 when none ends in it. Looks at `next` alone, and at what of the held bytes may begin a line end. */
  endIn(next: Buffer): number {
    const seam = this.#memory.subarray(Math.max(0, this.length - longestBlankLine + 1), this.length);
    const head = Buffer.concat([seam, next.subarray(0, longestBlankLine)]);
    const end = endOfLastEvent(next);
    return end > 0 ? end : Math.max(0, endOfLastEvent(head) - seam.length);
  }
}

/**
 * Cuts a stream of server-sent events where an event ends, without changing a byte: a stream that breaks off in the
 * middle of an event then never leaves half of one with the client.
 */
export class EventBoundary {
  readonly #api: Api;
  readonly #held = new Held();
  /** Whether the last event given out was `data: [DONE]`, or named the end of the stream. */
  done = false;
  /** Whether some event gave a `finish_reason`, or named the end: the text is whole. */
  finished = false;
  /** Whether some event was an error of the engine's. */
  failed = false;

  constructor(api: Api = 'openai') {
    this.#api = api;
  }

  /** The bytes that may go to the client now; undefined while no event is complete. @throws RangeError above `maxEventBytes`. */
  push(chunk: Buffer): Buffer | undefined {
    if (chunk.length === 0) return undefined;
    const end = this.#held.length === 0 ? endOfLastEvent(chunk) : this.#held.endIn(chunk);
    const complete = end === chunk.length ? chunk : chunk.subarray(0, end);
    const events = end === 0 || this.#held.length === 0 ? complete : this.#held.takeWith(complete);
    if (end < chunk.length) this.#held.add(end === 0 ? chunk : chunk.subarray(end));
    if (end === 0) return undefined;
    this.#look(events);
    if (!this.failed) this.failed = this.errorIn(events) !== -1;
    return events;
  }

  /** Where in whole events one begins that is an engine's error; −1 where none is. */
  errorIn(events: Buffer): number {
    const places = errorStarts[this.#api].map((start) => events.indexOf(start)).filter((at) => at !== -1);
    return places.length === 0 ? -1 : Math.min(...places);
  }

  #look(events: Buffer): void {
    if (this.#api === 'openai') {
      this.done = endsWithDone(events);
      if (!this.finished) this.finished = events.includes('"finish_reason":"') || events.includes('"finish_reason": "');
      return;
    }
    if (!this.finished) this.finished = endings[this.#api].test(events.toString('latin1'));
    this.done = this.finished;
  }
}
