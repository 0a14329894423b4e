import type { ServerResponse } from 'node:http';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, GatewayError, messageOf } from '../core/errors.ts';
import type { ReplicaId, Slot } from '../core/ids.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { ModelEntry, ReplicaView, RoutingTable } from '../core/table.ts';
import type { Dialect } from '../plugins/engine-plugin.ts';
import { Attempt, type AttemptListener } from './attempt.ts';
import type { GatewayMetrics } from './metrics.ts';
import { engineErrorReply, type ErrorReply, errorEvent, errorReply } from './openai/error-body.ts';
import { EventBoundary } from './openai/event-boundary.ts';
import { type Candidate, route } from './route.ts';
import type { LiveSet, Seated } from './live-set.ts';
import type { Upstreams } from './upstreams.ts';
import type { Waiter, WaitingRoom } from './waiting-room.ts';

/** Tries of one request that an engine saw; one that never reached an engine does not count. */
const maxAttempts = 3;
/** Pause before a replica that refused the connection is asked again: its exit is known to all within this time. */
const refusedPauseMs = 50;

const untried: ReadonlySet<ReplicaId> = new Set();

export interface ExchangeDeps {
  readonly worker: number;
  table(): RoutingTable;
  readonly board: LoadBoard;
  readonly room: WaitingRoom;
  readonly upstreams: Upstreams;
  readonly dialects: ReadonlyMap<string, Dialect>;
  readonly metrics: GatewayMetrics;
  readonly clock: Clock;
  /** A number ≥ 0 that differs from call to call, so that equal replicas take turns. */
  nextTieBreak(): number;
  /** Every exchange that has not ended; kept by the exchanges themselves. */
  readonly live: LiveSet<Exchange>;
}

/** How a request ended: one word a metric can carry. */
export type Outcome = 'ok' | 'engine_error' | ErrorCode;

/**
 * One request from acceptance to last byte: routed, perhaps waiting, sent, relayed; tried again elsewhere only while
 * the client has no byte. Ends exactly once, and then holds nothing.
 */
export class Exchange implements Waiter, AttemptListener, Seated {
  seat = -1;
  readonly request: NormalizedRequest;
  readonly #deps: ExchangeDeps;
  readonly #raw: ServerResponse;
  readonly #requestId: string;
  readonly #startedAt: number;
  #tried: ReadonlySet<ReplicaId> = untried;
  #attempt: Attempt | undefined;
  #attempts = 0;
  #waitingSlot: Slot | undefined;
  #ended = false;
  #head: { status: number; contentType: string; contentLength: string | undefined } | undefined;
  #events: EventBoundary | undefined;
  #headSent = false;
  #lastByteAt: number;
  #paused = false;
  #cancelPause: (() => void) | undefined;

  constructor(deps: ExchangeDeps, request: NormalizedRequest, raw: ServerResponse, requestId: string) {
    this.#deps = deps;
    this.request = request;
    this.#raw = raw;
    this.#requestId = requestId;
    this.#startedAt = deps.clock.now();
    this.#lastByteAt = this.#startedAt;
  }

  get model(): NormalizedRequest['model'] {
    return this.request.model;
  }

  start(): void {
    this.#deps.live.add(this);
    this.#raw.on('close', () => this.#clientClosed());
    if (this.#deps.room.waiting(this.model) > 0 || !this.#routeNow()) this.#wait();
  }

  // ── routing ────────────────────────────────────────────────────────────────

  #entry(): ModelEntry | undefined {
    return this.#deps.table().models.get(this.model);
  }

  /** Sends the request if a replica can take it; true also when it ended instead. The pick and its count are one synchronous turn. */
  #routeNow(): boolean {
    const entry = this.#entry();
    if (entry === undefined) {
      this.fail(this.#removed());
      return true;
    }
    if (entry.replicas.length === 0 && entry.status.error?.permanent === true) {
      this.fail(this.#unavailable('start_failed', entry));
      return true;
    }
    const { board, worker } = this.#deps;
    const candidates: Candidate[] = entry.replicas.map((replica) => ({ replica, inFlight: board.read(replica.slot) }));
    const decision = route({ exclude: this.#tried, tieBreak: this.#deps.nextTieBreak() }, candidates);
    if (decision.kind === 'wait') return false;
    board.add(worker, decision.replica.slot, 1);
    this.#leaveRoom();
    this.#send(decision.replica, entry);
    return true;
  }

  #send(replica: ReplicaView, entry: ModelEntry): void {
    const attempt = new Attempt(replica, this);
    this.#attempt = attempt;
    this.#lastByteAt = this.#deps.clock.now();
    try {
      const dialect = this.#deps.dialects.get(entry.engine);
      if (dialect === undefined) throw new GatewayError('internal_error', `No dialect for the engine '${entry.engine}' in this worker.`);
      const { path, body } = dialect.toEngine(this.request);
      const headers = ['content-type', 'application/json', 'authorization', `Bearer ${replica.apiKey}`, 'x-request-id', this.#requestId];
      // Both of undici's timeouts are off: `checkDeadline` knows the first byte from the next ones, and uses the injected clock.
      this.#deps.upstreams.poolOf(replica).dispatch({ method: 'POST', path, headers, body, headersTimeout: 0, bodyTimeout: 0 }, attempt);
    } catch (error) {
      this.released();
      this.fail(
        error instanceof GatewayError
          ? error
          : new GatewayError('internal_error', `The request could not be sent: ${messageOf(error)}`, { cause: error }),
      );
    }
  }

  // ── waiting ────────────────────────────────────────────────────────────────

  #wait(): void {
    const entry = this.#entry();
    if (entry === undefined) {
      this.fail(this.#removed());
      return;
    }
    const { room, board, worker, clock } = this.#deps;
    this.#tried = untried;
    const { maxWaiting, queueTimeoutMs } = entry.limits;
    const leftMs = this.#startedAt + queueTimeoutMs - clock.now();
    if (maxWaiting >= 0 && room.waiting(this.model) >= maxWaiting) {
      this.fail(
        new GatewayError('overloaded', `${maxWaiting} requests wait for '${this.model}' already (max_queued_requests).`, {
          retryAfterS: (entry.status.etaMs ?? 1000) / 1000,
        }),
      );
      return;
    }
    if (leftMs <= 0) {
      this.expire();
      return;
    }
    this.#waitingSlot = entry.waiting;
    board.add(worker, entry.waiting, 1);
    room.enter(this, leftMs);
    // A place freed by another worker before this one was seen to wait woke nobody: look once more.
    if (room.waiting(this.model) === 1) room.wake(this.model);
  }

  tryLeave(): boolean {
    return this.#ended || this.#routeNow();
  }

  expire(): void {
    const entry = this.#entry();
    this.fail(entry === undefined ? this.#removed() : this.#unavailable('wait_timeout', entry));
  }

  #removed(): GatewayError {
    return new GatewayError('model_not_found', `The model '${this.request.requestedModel}' was removed while the request waited.`, {
      param: 'model',
    });
  }

  #leaveRoom(): void {
    if (this.#waitingSlot === undefined) return;
    this.#deps.board.add(this.#deps.worker, this.#waitingSlot, -1);
    this.#waitingSlot = undefined;
    this.#deps.room.leave(this);
  }

  #unavailable(code: 'wait_timeout' | 'start_failed', entry: ModelEntry): GatewayError {
    const { phase, etaMs, error } = entry.status;
    const waitedS = Math.round((this.#deps.clock.now() - this.#startedAt) / 1000);
    const cause = error === undefined ? '' : ` Last failure: ${error.message}`;
    const message =
      code === 'start_failed'
        ? `The model '${this.model}' cannot start.${cause}`
        : `No replica of '${this.model}' took the request within ${waitedS} s (state: ${phase}).${cause}`;
    return new GatewayError(code, message, { retryAfterS: (etaMs ?? 5000) / 1000 });
  }

  // ── what the engine says ───────────────────────────────────────────────────

  began(status: number, contentType: string, contentLength: string | undefined): void {
    if (this.#ended) return;
    this.#head = { status, contentType, contentLength };
    // A stream's head waits for its first event, so that an engine that dies before it can still be replaced.
    if (contentType.startsWith('text/event-stream')) this.#events = new EventBoundary();
    else this.#sendHead(this.#head);
  }

  received(chunk: Buffer): void {
    const attempt = this.#attempt;
    if (this.#ended || attempt === undefined || this.#head === undefined) return;
    const { board, worker, clock } = this.#deps;
    board.moved(worker, attempt.replica.slot);
    this.#lastByteAt = clock.now();
    const bytes = this.#events === undefined ? chunk : this.#completeEvents(chunk);
    if (bytes === undefined) return;
    if (!this.#headSent) this.#sendHead(this.#head);
    if (!this.#raw.write(bytes) && !this.#paused) this.#pauseUntilDrained(attempt);
  }

  #completeEvents(chunk: Buffer): Buffer | undefined {
    try {
      return this.#events?.push(chunk);
    } catch (error) {
      this.fail(new GatewayError('upstream_invalid', `The engine sent ${messageOf(error)}.`, { cause: error }));
      return undefined;
    }
  }

  #pauseUntilDrained(attempt: Attempt): void {
    this.#paused = true;
    attempt.pause();
    this.#raw.once('drain', () => {
      this.#paused = false;
      // Time spent waiting for the client is not the engine's silence.
      this.#lastByteAt = this.#deps.clock.now();
      attempt.resume();
    });
  }

  ended(): void {
    if (this.#ended) return;
    if (this.#events !== undefined && !this.#events.done) {
      this.#broken(new Error('the stream ended before it was complete'), true);
      return;
    }
    this.#end('ok');
    this.#raw.end();
  }

  refused(status: number, body: string): void {
    if (this.#ended) return;
    const tryAgain = status === 503 && this.#attempts + 1 < maxAttempts;
    if (tryAgain) {
      this.#retry(true);
      return;
    }
    const dialect = this.#deps.dialects.get(this.#entry()?.engine ?? '');
    const reply = engineErrorReply(status, dialect?.readError(status, body) ?? { message: body.slice(0, 2048) });
    this.#answer(reply, 'engine_error');
  }

  failed(error: Error, sent: boolean): void {
    if (!this.#ended) this.#broken(error, sent);
  }

  /** The connection broke, or the reply ended too early. */
  #broken(error: Error, sent: boolean): void {
    if (this.#headSent || (sent && this.#attempts + 1 >= maxAttempts)) {
      this.fail(
        new GatewayError('upstream_failed', `The engine of '${this.model}' broke the connection: ${error.message}.`, { cause: error }),
      );
      return;
    }
    this.#retry(sent);
  }

  released(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { board, worker, room } = this.#deps;
    board.add(worker, attempt.replica.slot, -1);
    const entry = this.#entry();
    if (entry === undefined || board.read(entry.waiting) === 0) return;
    board.bumpEpoch();
    room.wake(this.model);
  }

  #retry(sent: boolean): void {
    const replica = this.#attempt?.replica.id;
    this.#attempt = undefined;
    this.#head = undefined;
    this.#events = undefined;
    if (sent) this.#attempts += 1;
    if (replica !== undefined) this.#tried = new Set([...this.#tried, replica]);
    this.#deps.metrics.retried(this.model);
    const others = this.#entry()?.replicas.some(({ id }) => !this.#tried.has(id)) === true;
    if (!sent && !others) this.#askAgainLater();
    else if (!this.#routeNow()) this.#wait();
  }

  /** The only replicas left refuse connections: wait until the table says so too, or until one of them listens. */
  #askAgainLater(): void {
    const { clock } = this.#deps;
    const entry = this.#entry();
    if (entry === undefined || clock.now() + refusedPauseMs >= this.#startedAt + entry.limits.queueTimeoutMs) {
      this.expire();
      return;
    }
    this.#tried = untried;
    this.#cancelPause = clock.after(refusedPauseMs, () => {
      this.#cancelPause = undefined;
      if (!this.#routeNow()) this.#wait();
    });
  }

  // ── the end ────────────────────────────────────────────────────────────────

  #sendHead(head: { status: number; contentType: string; contentLength: string | undefined }): void {
    this.#headSent = true;
    this.#deps.metrics.firstByte(this.model, this.#deps.clock.now() - this.#startedAt);
    const headers = ['content-type', head.contentType, 'x-request-id', this.#requestId];
    if (this.#events !== undefined) headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no');
    else if (head.contentLength !== undefined) headers.push('content-length', head.contentLength);
    this.#raw.writeHead(head.status, headers);
  }

  /** Ends the request with an error: a real status while the client has no byte, the stream's last event after that. */
  fail(error: GatewayError): void {
    if (this.#ended) return;
    if (!this.#headSent) this.#answer(errorReply(error), error.code);
    else {
      const streaming = this.#events !== undefined;
      this.#end(error.code);
      // A reply with a length cannot say that it broke; cutting the connection does.
      if (streaming) this.#raw.end(errorEvent(error));
      else this.#raw.destroy();
    }
    this.#attempt?.abort(error);
  }

  #answer(reply: ErrorReply, outcome: Outcome): void {
    this.#headSent = true;
    this.#end(outcome, reply.status);
    this.#raw.writeHead(reply.status, {
      ...reply.headers,
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(reply.body),
      'x-request-id': this.#requestId,
    });
    this.#raw.end(reply.body);
  }

  #clientClosed(): void {
    if (this.#ended) return;
    this.#end('client_closed', 499);
    this.#attempt?.abort(new Error('the client closed the connection'));
  }

  #end(outcome: Outcome, status: number = this.#head?.status ?? 0): void {
    this.#ended = true;
    this.#cancelPause?.();
    this.#leaveRoom();
    this.#deps.live.delete(this);
    this.#deps.metrics.finished(this.model, this.request.operation, status, outcome, this.#deps.clock.now() - this.#startedAt);
  }

  /** Called about once a second: ends the request when its engine has been silent for too long. */
  checkDeadline(now: number): void {
    const limits = this.#entry()?.limits;
    if (this.#attempt === undefined || this.#paused || limits === undefined || this.#ended) return;
    const silentMs = now - this.#lastByteAt;
    const allowedMs = this.#headSent ? limits.idleTimeoutMs : limits.firstByteTimeoutMs;
    if (silentMs < allowedMs) return;
    const limit = this.#headSent ? 'idle_timeout_s' : 'first_byte_timeout_s';
    this.fail(
      new GatewayError('upstream_timeout', `The engine of '${this.model}' sent nothing for ${Math.round(silentMs / 1000)} s (${limit}).`),
    );
  }
}
