import type { ReplyMender } from '../plugins/reply-mend.ts';
import { isEventStream, type ReplyHead } from './client-reply.ts';
import type { Api } from './operations.ts';
import { EventBoundary } from './openai/event-boundary.ts';

/** What a piece of an engine's reply comes to. `bytes`: what may go to the client now, mended. */
export type Passage =
  | { readonly kind: 'held' }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** The engine gave the request up and says so only in the reply: `bytes` is what it said before. */
  | { readonly kind: 'aborted'; readonly bytes: Buffer | undefined }
  /** An error of the engine's inside a stream. */
  | { readonly kind: 'error'; readonly bytes: Buffer | undefined; readonly status: number; readonly body: string };

export type Whole = { readonly kind: 'whole'; readonly bytes: Buffer } | { readonly kind: 'aborted' };

/** A whole reply above this is passed on as it comes, unmended: it must not fill the memory. */
const maxHeldBytes = 32 * 1024 * 1024;

const held: Passage = { kind: 'held' };
/** Inside a JSON string their quotes would stand behind backslashes. */
const abortMarks = ['"finish_reason":"abort"', '"finish_reason": "abort"'];

/** What shows that no API wrote a successful reply, but a proxy or a front without its engine; undefined for one that can be passed on. */
export function flawOf({ contentType, contentLength }: ReplyHead): string | undefined {
  if (contentType.startsWith('text/html')) return 'a page of HTML';
  return contentLength === '0' ? 'an empty reply' : undefined;
}

/**
 * One engine's reply on its way to the client: a stream cut where an event ends, a whole one held until its end where it may have to be
 * mended; mended by the engine's dialect; and what engines say of failures inside a reply made known.
 */
export class EngineReply {
  readonly head: ReplyHead;
  readonly events: EventBoundary | undefined;
  readonly #mender: ReplyMender | undefined;
  #held: Buffer[] | undefined;
  #heldBytes = 0;

  constructor(head: ReplyHead, mender: ReplyMender | undefined, api: Api = 'openai') {
    this.head = head;
    this.#mender = mender;
    if (isEventStream(head.contentType)) this.events = new EventBoundary(api);
    else if (mender !== undefined && head.contentType.startsWith('application/json')) this.#held = [];
  }

  /** Whether the head must wait for the first bytes that may go out. */
  get waits(): boolean {
    return this.events !== undefined || this.#held !== undefined;
  }

  /** @throws RangeError where an event is too long. */
  push(chunk: Buffer): Passage {
    if (this.events !== undefined) return this.#pushEvents(this.events, chunk);
    if (this.#held === undefined) return { kind: 'bytes', bytes: chunk };
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= maxHeldBytes) return held;
    const bytes = Buffer.concat(this.#held);
    this.#held = undefined;
    return { kind: 'bytes', bytes };
  }

  /** What was held until the end, whose length may be another than the head says; undefined where nothing was. */
  finish(): Whole | undefined {
    if (this.#held === undefined) return undefined;
    const bytes = this.#held.length === 1 && this.#held[0] !== undefined ? this.#held[0] : Buffer.concat(this.#held);
    if (abortMarks.some((mark) => bytes.includes(mark))) return { kind: 'aborted' };
    return { kind: 'whole', bytes: this.#mender?.whole(bytes) ?? bytes };
  }

  #pushEvents(boundary: EventBoundary, chunk: Buffer): Passage {
    const finishedBefore = boundary.finished;
    const events = boundary.push(chunk);
    if (events === undefined) return held;
    if (boundary.failed) {
      const at = boundary.errorIn(events);
      const body = events.toString('utf8', at + 'data: '.length, lineEnd(events, at));
      return { kind: 'error', bytes: this.#before(events, nameLine(events, at)), status: statusOf(body), body };
    }
    const aborted = finishedBefore || !boundary.finished ? -1 : markIn(events);
    if (aborted !== -1) return { kind: 'aborted', bytes: this.#before(events, eventStart(events, aborted)) };
    return { kind: 'bytes', bytes: this.#mender?.events(events) ?? events };
  }

  #before(events: Buffer, end: number): Buffer | undefined {
    const bytes = events.subarray(0, end);
    return end === 0 ? undefined : (this.#mender?.events(bytes) ?? bytes);
  }
}

function markIn(events: Buffer): number {
  return Math.max(...abortMarks.map((mark) => events.indexOf(mark)));
}

function eventStart(events: Buffer, within: number): number {
  return events.lastIndexOf('\n', within) + 1;
}

/** Where the event begins whose data stand at `at`: an `event:` line may stand before them. */
function nameLine(events: Buffer, at: number): number {
  const before = events.lastIndexOf('\n', at - 2) + 1;
  return at > 0 && events.toString('latin1', before, before + 'event:'.length) === 'event:' ? before : at;
}

function lineEnd(events: Buffer, from: number): number {
  const end = events.indexOf('\n', from);
  return end === -1 ? events.length : end;
}

/** Engines repeat the HTTP status as `code` of the error, which they cannot send any more. */
function statusOf(body: string): number {
  const code = /"code": ?"?([45]\d\d)\b/u.exec(body)?.[1];
  return code === undefined ? 500 : Number(code);
}
