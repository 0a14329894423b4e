import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { NormalizedRequest } from '../core/request.ts';
import { doneEvent } from '../core/server-sent-events.ts';
import type { GoOn } from '../plugins/engine-plugin.ts';
import type { ReplyMender } from '../plugins/reply-mend.ts';
import type { Verdict } from './breaker.ts';
import type { ClientReply, ReplyHead } from './client-reply.ts';
import { EngineReply, flawOf } from './engine-reply.ts';
import { operations } from './operations.ts';
import { Continuation, resumable } from './openai/continuation.ts';

interface Going {
  readonly kind: 'going';
}

/** The reply cannot be passed on: what the engine did. `blame`: only a broken replica does that. */
export interface Invalid {
  readonly kind: 'invalid';
  readonly message: string;
  readonly blame: boolean;
  readonly cause?: unknown;
}

/** The engine ended the request by itself. */
interface GaveUp {
  readonly kind: 'gave-up';
}

/** What a piece of an engine's reply, once as much of it as may be is with the client, asks of the request's owner. */
export type RelayStep =
  | Going
  | Invalid
  | GaveUp
  /** An engine's error inside a stream. */
  | { readonly kind: 'failed'; readonly status: number; readonly body: string };

/** What the end of an engine's reply comes to. `last`: bytes that the client still needs. */
export type RelayEnd =
  | { readonly kind: 'whole'; readonly last: string | Buffer | undefined }
  | { readonly kind: 'incomplete' }
  | Invalid
  | GaveUp;

/** What the end of a reply below 400 shows of the replica that gave it. */
export function verdictOfEnd(end: RelayEnd): Verdict {
  switch (end.kind) {
    case 'whole':
      return 'ok';
    case 'incomplete':
      return 'failed';
    case 'gave-up':
      return 'busy';
    case 'invalid':
      return end.blame ? 'failed' : 'unknown';
  }
}

/** What belongs to the first bytes of a reply; `now`: of the relay's clock. */
export interface Opening {
  /** Names and values that the head carries beside the engine's. */
  headers(now: number): readonly string[];
  /** The head was sent. */
  opened(now: number): void;
}

/** What can be held back: the engine's connection. */
export interface Flow {
  pause(): void;
  resume(): void;
}

const going: Going = { kind: 'going' };
const gaveUp: GaveUp = { kind: 'gave-up' };

/** Bytes of engines on their way to one client: of one engine, and with a continuation of others after it. Times are of `clock`. */
export class Relay {
  readonly #client: ClientReply;
  readonly #clock: Clock;
  readonly #opening: Opening;
  #reply: EngineReply | undefined;
  #flow: Flow | undefined;
  #continuation: Continuation | undefined;
  /** Whether the client has a byte of an engine's: from then on nothing is tried again. */
  #begun = false;
  /** When an engine last said something, or could have. */
  heardAt: number;
  /** When the client was last sent something. */
  sentAt: number;

  constructor(client: ClientReply, clock: Clock, since: number, opening: Opening) {
    this.#client = client;
    this.#clock = clock;
    this.#opening = opening;
    this.heardAt = since;
    this.sentAt = since;
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** Whether the present engine's reply is being passed on. */
  get replying(): boolean {
    return this.#begun && this.#reply !== undefined;
  }

  /** Of the present engine's reply; undefined before it. */
  get status(): number | undefined {
    return this.#reply?.head.status;
  }

  /** Whether another engine could go on with what the client has. */
  get canGoOn(): boolean {
    return this.#begun && this.#continuation?.open === true;
  }

  /** An engine's head came. `resumes`: its stream is to be gone on with where it dies, if `request` allows it. */
  begin(head: ReplyHead, mender: ReplyMender | undefined, flow: Flow, request: NormalizedRequest, resumes: boolean): RelayStep {
    const flaw = flawOf(head);
    if (flaw !== undefined) return { kind: 'invalid', message: `The engine of '${request.model}' sent ${flaw}.`, blame: true };
    const reply = new EngineReply(head, mender, operations[request.operation].api);
    this.#reply = reply;
    this.#flow = flow;
    if (resumes && reply.events !== undefined && resumable(request)) this.#continuation ??= new Continuation();
    // A stream's head waits for its first event, so that an engine that dies before it can still be replaced.
    return reply.waits ? going : this.#openWith(reply.head);
  }

  push(chunk: Buffer): RelayStep {
    const reply = this.#reply;
    if (reply === undefined) return going;
    this.heardAt = this.#clock.now();
    let passage;
    try {
      passage = reply.push(chunk);
    } catch (error) {
      return { kind: 'invalid', message: `The engine sent ${messageOf(error)}.`, blame: false, cause: error };
    }
    if (passage.kind === 'held') return going;
    const step = passage.bytes === undefined ? going : this.#pass(passage.bytes, reply.head);
    if (step.kind !== 'going') return step;
    switch (passage.kind) {
      case 'bytes':
        return going;
      case 'aborted':
        return gaveUp;
      case 'error':
        return { kind: 'failed', status: passage.status, body: passage.body };
    }
  }

  /** The engine's reply ended; what it held back has not gone out yet. */
  finish(): RelayEnd {
    const reply = this.#reply;
    if (reply === undefined) return { kind: 'incomplete' };
    const { events, head } = reply;
    if (events !== undefined && !events.done && !events.finished) return { kind: 'incomplete' };
    const whole = reply.finish();
    if (whole?.kind === 'aborted') return gaveUp;
    if (whole !== undefined) {
      const step = this.#openWith({ ...head, contentLength: String(whole.bytes.length) });
      return step.kind === 'invalid' ? step : { kind: 'whole', last: whole.bytes };
    }
    // An engine that said why it finished, and only forgot the end marker, has lost nothing.
    return { kind: 'whole', last: events === undefined || events.done ? undefined : doneEvent };
  }

  /** The present engine is given up, and another may come. */
  forget(): void {
    this.#reply = undefined;
    this.#flow = undefined;
  }

  /** What another engine is to be asked, to go on where the last one died; or the end of a stream that had its last token. Only while `canGoOn`. */
  goOn(request: NormalizedRequest, how: GoOn): { body: Readonly<Record<string, unknown>> } | { ending: string } {
    const continuation = this.#continuation;
    if (continuation === undefined) return { body: request.body() };
    const body = continuation.resume(request, how);
    return body === undefined ? { ending: continuation.ending(request.operation) } : { body };
  }

  #pass(bytes: Buffer, head: ReplyHead): RelayStep {
    const step = this.#begun ? going : this.#openWith(head);
    if (step.kind !== 'going') return step;
    const passed = this.#continuation?.pass(bytes) ?? bytes;
    if (passed.length === 0) return going;
    this.sentAt = this.heardAt;
    const flow = this.#flow;
    const onDrained = (): void => {
      // Time spent waiting for the client is not the engine's silence.
      this.heardAt = this.#clock.now();
      flow?.resume();
    };
    if (!this.#client.write(passed, this.sentAt, onDrained)) flow?.pause();
    return going;
  }

  /** Passes the engine's head on, unless what the client already has does not allow it. */
  #openWith(head: ReplyHead): Going | Invalid {
    const now = this.#clock.now();
    if (!this.#client.begin(head, this.#opening.headers(now)))
      return { kind: 'invalid', message: `The engine answered a stream with status ${head.status} and ${head.contentType}.`, blame: false };
    this.#begun = true;
    this.#opening.opened(now);
    return going;
  }
}
