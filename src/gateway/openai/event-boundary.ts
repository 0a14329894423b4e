const lf = 0x0a;
const cr = 0x0d;
const doneText = 'data: [DONE]';
/** How an event begins that is an engine's error. Inside a JSON string the quote would stand behind a backslash. */
export const errorStart = 'data: {"error"';

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

/**
 * Cuts a stream of server-sent events where an event ends, without changing a byte: a stream that breaks off in the
 * middle of an event then never leaves half of one with the client.
 */
export class EventBoundary {
  #held: Buffer | undefined;
  /** Whether the last event given out was `data: [DONE]`. */
  done = false;
  /** Whether some event gave a `finish_reason`: the text is whole. */
  finished = false;
  /** Whether some event was an error of the engine's. */
  failed = false;

  /** The bytes that may go to the client now; undefined while no event is complete. @throws RangeError above `maxEventBytes`. */
  push(chunk: Buffer): Buffer | undefined {
    if (chunk.length === 0) return undefined;
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    const end = endOfLastEvent(bytes);
    if (end === bytes.length) this.#held = undefined;
    else {
      this.#held = end === 0 ? bytes : bytes.subarray(end);
      if (this.#held.length > maxEventBytes) throw new RangeError(`an event of more than ${maxEventBytes} bytes`);
      if (end === 0) return undefined;
    }
    const events = end === bytes.length ? bytes : bytes.subarray(0, end);
    this.done = endsWithDone(events);
    if (!this.finished) this.finished = events.includes('"finish_reason":"') || events.includes('"finish_reason": "');
    if (!this.failed) this.failed = events.includes(errorStart);
    return events;
  }
}
