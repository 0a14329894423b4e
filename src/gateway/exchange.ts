import type { ServerResponse } from 'node:http';
import { type ErrorCode, errorTable, GatewayError, messageOf } from '../core/errors.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { NormalizedRequest } from '../core/request.ts';
import { doneEvent } from '../core/server-sent-events.ts';
import type { ModelEntry, ModelLimits, ReplicaView } from '../core/table.ts';
import type { Dialect } from '../plugins/engine-plugin.ts';
import { Attempt, type AttemptListener, verdictOf } from './attempt.ts';
import { ClientReply, type ReplyHead } from './client-reply.ts';
import { droppedNames, type EngineCall, engineHeaders, prepareCall, tellEngine } from './engine-call.ts';
import { EngineReply, flawOf, type Passage } from './engine-reply.ts';
import { Continuation, resumable } from './openai/continuation.ts';
import { withBody } from './openai/normalize.ts';
import { engineErrorReply, type ErrorReply } from './openai/error-body.ts';
import type { Verdict } from './breaker.ts';
import { Receipt } from './receipt.ts';
import type { RouteReason } from './route.ts';
import { silentTooLong, waitingFor } from './refusals.ts';
import { Search, type SearchDeps, type Seeker } from './search.ts';
import type { LiveSet, Seated } from './live-set.ts';
import type { Upstreams } from './upstreams.ts';

export interface ExchangeDeps extends SearchDeps {
  readonly upstreams: Upstreams;
  readonly dialects: ReadonlyMap<string, Dialect>;
  /** Every exchange that has not ended; kept by the exchanges themselves. */
  readonly live: LiveSet<Exchange>;
  readonly settings: GatewaySettings;
}

const gaveUp = (): Error => new Error('it gave the request up');

function unsendable(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('internal_error', `The request could not be sent: ${messageOf(error)}`, { cause: error });
}

/** How a request ended: one word a metric can carry. */
export type Outcome = 'ok' | 'engine_error' | ErrorCode;

/**
 * One request from acceptance to last byte: routed, perhaps waiting, sent, relayed; tried again elsewhere only while
 * the client has no byte. Ends exactly once, and then holds nothing.
 */
export class Exchange implements Seeker, AttemptListener, Seated {
  seat = -1;
  readonly request: NormalizedRequest;
  readonly #deps: ExchangeDeps;
  readonly #raw: ServerResponse;
  readonly #reply: ClientReply;
  readonly #requestId: string;
  readonly #startedAt: number;
  #attempt: Attempt | undefined;
  readonly affinity: number | undefined;
  readonly #search: Search;
  #ended = false;
  #call: EngineCall | undefined;
  /** What the next replica is asked: the client's request, or what is left of it. */
  #asked: NormalizedRequest;
  #continuation: Continuation | undefined;
  #engineReply: EngineReply | undefined;
  /** Whether the client has a byte of an engine's: from then on nothing is tried again. */
  #relayed = false;
  #lastByteAt: number;
  #lastSentAt: number;
  readonly receipt: Receipt;

  /** `acceptedAt`: when the gateway had the whole request, before it looked at it. */
  constructor(
    deps: ExchangeDeps,
    request: NormalizedRequest,
    raw: ServerResponse,
    { requestId, affinity, acceptedAt }: { requestId: string; affinity: number | undefined; acceptedAt: number },
  ) {
    this.affinity = affinity;
    this.#deps = deps;
    this.request = request;
    this.#asked = request;
    this.#raw = raw;
    this.#reply = new ClientReply(raw, requestId);
    this.#requestId = requestId;
    this.#startedAt = acceptedAt;
    this.receipt = new Receipt(acceptedAt);
    this.#search = new Search(deps, this, acceptedAt);
    this.#lastByteAt = this.#startedAt;
    this.#lastSentAt = this.#startedAt;
  }

  get model(): NormalizedRequest['model'] {
    return this.request.model;
  }

  start(): void {
    this.#deps.live.add(this);
    this.#raw.on('close', () => this.#clientClosed());
    if (this.#refuseAtOnce()) return;
    this.#search.begin();
  }

  /** What would be refused for its parameters once a replica takes it does not wait for one first. */
  #refuseAtOnce(): boolean {
    const entry = this.#search.entry();
    if (entry?.unsupportedParams !== 'reject') return false;
    try {
      this.#prepare(entry);
      return false;
    } catch (error) {
      this.fail(unsendable(error));
      return true;
    }
  }

  #prepare(entry: ModelEntry): EngineCall {
    return prepareCall(this.#deps.dialects.get(entry.engine), entry.engine, this.#asked, entry.unsupportedParams);
  }

  // ── routing ────────────────────────────────────────────────────────────────

  send(replica: ReplicaView, reason: RouteReason, entry: ModelEntry): void {
    const attempt = new Attempt(replica, this);
    this.#attempt = attempt;
    const now = this.#deps.clock.now();
    this.receipt.routed(now, replica, reason);
    this.#lastByteAt = now;
    try {
      const call = this.#prepare(entry);
      this.#call = call;
      const dropped = droppedNames(call, entry.unsupportedParams);
      if (dropped !== undefined) this.#reply.note('x-gateway-dropped-params', dropped);
      const { path, body, lastOnConnection: reset = false } = call.request;
      const headers = engineHeaders(replica, this.#requestId);
      // Both of undici's timeouts are off: `check` knows the first byte from the next ones, and uses the injected clock.
      this.#deps.upstreams
        .poolOf(replica)
        .dispatch({ method: 'POST', path, headers, body, reset, headersTimeout: 0, bodyTimeout: 0 }, attempt);
    } catch (error) {
      this.released('unknown');
      this.fail(unsendable(error));
    }
  }

  // ── what the engine says ───────────────────────────────────────────────────

  began(status: number, contentType: string, contentLength: string | undefined): void {
    if (this.#ended) return;
    const head = { status, contentType, contentLength };
    const flaw = flawOf(head);
    if (flaw !== undefined) {
      this.#attempt?.blame();
      this.fail(new GatewayError('upstream_invalid', `The engine of '${this.model}' sent ${flaw}.`));
      return;
    }
    const reply = new EngineReply(head, this.#call?.mender);
    this.#engineReply = reply;
    if (reply.events !== undefined && this.#search.entry()?.resumeStreams === true && resumable(this.request))
      this.#continuation ??= new Continuation();
    // A stream's head waits for its first event, so that an engine that dies before it can still be replaced.
    if (!reply.waits) this.#beginRelay(reply.head);
  }

  received(chunk: Buffer): void {
    const attempt = this.#attempt;
    const reply = this.#engineReply;
    if (this.#ended || attempt === undefined || reply === undefined) return;
    const { board, worker, clock } = this.#deps;
    board.moved(worker, attempt.replica.slot);
    this.#lastByteAt = clock.now();
    const passage = this.#passageOf(reply, chunk);
    if (passage !== undefined) this.#pass(passage, reply.head, attempt);
  }

  #passageOf(reply: EngineReply, chunk: Buffer): Passage | undefined {
    try {
      return reply.push(chunk);
    } catch (error) {
      this.fail(new GatewayError('upstream_invalid', `The engine sent ${messageOf(error)}.`, { cause: error }));
      return undefined;
    }
  }

  #pass(passage: Passage, head: ReplyHead, attempt: Attempt): void {
    switch (passage.kind) {
      case 'held':
        return;
      case 'bytes':
        this.#relay(passage.bytes, head, attempt);
        return;
      case 'aborted':
        if (passage.bytes !== undefined) this.#relay(passage.bytes, head, attempt);
        this.#gaveUp(attempt);
        return;
      case 'error':
        if (passage.bytes !== undefined) this.#relay(passage.bytes, head, attempt);
        this.#failedInside(passage.status, passage.body, attempt);
        return;
    }
  }

  /** The engine ended the request by itself, and says so as the reason why the text ends. */
  #gaveUp(attempt: Attempt): void {
    if (this.#ended) return;
    attempt.discard(gaveUp(), 'busy');
    this.#broken(gaveUp(), true);
  }

  /** An error that came as an event of the stream. Before anything was passed on it can still be what it would have been: a status. */
  #failedInside(status: number, body: string, attempt: Attempt): void {
    if (this.#ended) return;
    attempt.discard(new Error('the engine failed'), verdictOf(status));
    if (this.#relayed && !this.#resume()) this.#refuse(this.#read(status, body));
    else if (!this.#relayed) this.refused(status, body);
  }

  #relay(bytes: Buffer, head: ReplyHead, attempt: Attempt): void {
    if (!this.#relayed && !this.#beginRelay(head)) return;
    const passed = this.#continuation?.pass(bytes) ?? bytes;
    if (passed.length === 0) return;
    const now = this.#deps.clock.now();
    this.#lastSentAt = now;
    const onDrained = (): void => {
      // Time spent waiting for the client is not the engine's silence.
      this.#lastByteAt = this.#deps.clock.now();
      attempt.resume();
    };
    if (!this.#reply.write(passed, now, onDrained)) attempt.pause();
  }

  /** Passes the engine's head on; false when what the client already has does not allow it. */
  #beginRelay(head: ReplyHead): boolean {
    const now = this.#deps.clock.now();
    if (!this.#reply.begin(head, this.receipt.headers(now, this.#deps.settings.debugHeaders))) {
      this.fail(new GatewayError('upstream_invalid', `The engine answered a stream with status ${head.status} and ${head.contentType}.`));
      return false;
    }
    this.#relayed = true;
    this.#deps.metrics.firstByte(this.model, now - this.#startedAt);
    return true;
  }

  ended(): void {
    const reply = this.#engineReply;
    if (this.#ended || reply === undefined) return;
    const { events, head } = reply;
    if (events !== undefined && !events.done && !events.finished) {
      this.#broken(new Error('the stream ended before it was complete'), true);
      return;
    }
    const whole = reply.finish();
    if (whole?.kind === 'aborted') {
      this.#broken(gaveUp(), true);
      return;
    }
    if (whole !== undefined && !this.#beginRelay({ ...head, contentLength: String(whole.bytes.length) })) return;
    this.#end('ok');
    // An engine that said why it finished, and only forgot the end marker, has lost nothing.
    this.#reply.end(whole?.bytes ?? (events === undefined || events.done ? undefined : doneEvent));
  }

  refused(status: number, body: string): void {
    if (this.#ended) return;
    const reply = this.#read(status, body);
    // Some engines say 500 where they mean that they cannot serve now; their dialect knows.
    if (reply.status === 503 && this.#search.mayTryAgain) {
      this.#retry(true);
      return;
    }
    this.#refuse(reply);
  }

  #read(status: number, body: string): ErrorReply {
    return engineErrorReply(status, this.#call?.dialect.readError(status, body) ?? { message: body.slice(0, 2048) });
  }

  #refuse(reply: ErrorReply): void {
    this.#end('engine_error', this.#relayed ? undefined : reply.status);
    this.#reply.refuse(reply);
  }

  failed(error: Error, sent: boolean): void {
    if (!this.#ended) this.#broken(error, sent);
  }

  /** The connection broke, or the reply ended too early. */
  #broken(error: Error, sent: boolean): void {
    if (this.#relayed && this.#resume()) return;
    if (this.#relayed || (sent && !this.#search.mayTryAgain)) {
      this.fail(
        new GatewayError('upstream_failed', `The engine of '${this.model}' broke the connection: ${error.message}.`, { cause: error }),
      );
      return;
    }
    this.#retry(sent);
  }

  /** Lets another replica go on with the client's stream; false when that cannot be. */
  #resume(): boolean {
    const goOn = this.#call?.dialect.goOn;
    const continuation = this.#continuation;
    if (goOn === undefined || continuation?.open !== true || !this.#search.mayTryAgain) return false;
    const body = continuation.resume(this.request, goOn);
    if (body === undefined) {
      this.#end('ok');
      this.#reply.end(continuation.ending(this.request.operation));
      return true;
    }
    this.#asked = withBody(this.request, body);
    this.#search.restart();
    this.#deps.metrics.resumed(this.model);
    this.#retry(true);
    return true;
  }

  released(verdict: Verdict): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { board, worker, room, memory, clock } = this.#deps;
    memory.concluded(attempt.replica.id, verdict, clock.now());
    board.add(worker, attempt.replica.slot, -1);
    const entry = this.#search.entry();
    if (entry === undefined || board.read(entry.waiting) === 0) return;
    board.bumpEpoch();
    room.wake(this.model);
  }

  #retry(sent: boolean): void {
    const replica = this.#attempt?.replica.id;
    this.#attempt = undefined;
    this.receipt.failed(this.#deps.clock.now());
    this.#call = undefined;
    this.#engineReply = undefined;
    this.#search.again(replica, sent);
  }

  // ── the end ────────────────────────────────────────────────────────────────

  /** Ends the request with an error, in whatever form the client can still be told. */
  fail(error: GatewayError): void {
    if (this.#ended) return;
    this.#end(error.code, this.#reply.begun ? undefined : errorTable[error.code].status);
    this.#reply.fail(error);
    this.#abandon(error);
  }

  /** Nobody waits for the reply any more: the engine is to stop working on it. */
  #abandon(reason: Error): void {
    const attempt = this.#attempt;
    const isWorking = attempt?.working === true;
    attempt?.abort(reason);
    if (attempt === undefined || !isWorking) return;
    const { metrics, upstreams } = this.#deps;
    const abort = this.#call?.abort;
    if (abort === undefined) {
      metrics.abandoned(this.model, 'closed');
      return;
    }
    const headers = engineHeaders(attempt.replica, this.#requestId);
    tellEngine(upstreams.poolOf(attempt.replica), abort, headers, (taken) => metrics.abandoned(this.model, taken ? 'asked' : 'failed'));
  }

  #clientClosed(): void {
    if (this.#ended) return;
    this.#end('client_closed', 499);
    this.#abandon(new Error('the client closed the connection'));
  }

  #end(outcome: Outcome, status: number = this.#engineReply?.head.status ?? (this.#reply.begun ? 200 : 0)): void {
    this.#ended = true;
    this.#search.end();
    this.#deps.live.delete(this);
    const { overheadMs } = this.receipt;
    if (overheadMs !== undefined) this.#deps.metrics.overhead(overheadMs);
    this.#deps.metrics.finished(this.model, this.request.operation, status, outcome, this.#deps.clock.now() - this.#startedAt);
  }

  /** Called about once a second: keeps a silent stream alive, and ends what has been silent, or has not been read, for too long. */
  check(now: number): void {
    const entry = this.#search.entry();
    if (this.#ended || entry === undefined) return;
    const { stalledAt } = this.#reply;
    if (stalledAt !== undefined) {
      if (now - stalledAt >= this.#deps.settings.client.writeStallMs) this.#clientStalled();
      return;
    }
    if (this.#attempt !== undefined && this.#silentTooLong(now, entry.limits)) return;
    if (!this.request.stream || now - this.#lastSentAt < this.#deps.settings.client.heartbeatMs) return;
    this.#lastSentAt = now;
    this.#reply.heartbeat(this.#attempt === undefined ? waitingFor(entry, this.#search.etaMs(entry)) : 'working');
  }

  #silentTooLong(now: number, limits: ModelLimits): boolean {
    const silentMs = now - this.#lastByteAt;
    const begun = this.#relayed && this.#engineReply !== undefined;
    const allowedMs = begun ? limits.idleTimeoutMs : limits.firstByteTimeoutMs;
    if (silentMs < allowedMs) return false;
    const limit = begun ? 'gateway.timeouts.idle_s' : 'gateway.timeouts.first_byte_s';
    this.#attempt?.blame();
    const error = silentTooLong(this.model, silentMs, limit);
    if (this.#relayed && this.#continuation?.open === true) this.#attempt?.abort(error);
    else this.fail(error);
    return true;
  }

  /** The client holds its connection and reads nothing: the engine's slot is worth more. */
  #clientStalled(): void {
    this.#end('client_stalled', this.#engineReply?.head.status);
    this.#reply.cut();
    this.#abandon(new Error('the client stopped reading'));
  }
}
