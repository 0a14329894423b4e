import type { ServerResponse } from 'node:http';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, errorTable, GatewayError, messageOf } from '../core/errors.ts';
import type { ReplicaId, Slot } from '../core/ids.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { ModelEntry, ModelLimits, ReplicaView, RoutingTable } from '../core/table.ts';
import type { Dialect } from '../plugins/engine-plugin.ts';
import { Attempt, type AttemptListener } from './attempt.ts';
import { ClientReply, isEventStream, type ReplyHead } from './client-reply.ts';
import type { GatewayMetrics } from './metrics.ts';
import { engineErrorReply } from './openai/error-body.ts';
import { EventBoundary } from './openai/event-boundary.ts';
import type { Verdict } from './breaker.ts';
import type { LoadTotals } from './load-totals.ts';
import { Receipt } from './receipt.ts';
import type { ReplicaMemory } from './replica-memory.ts';
import { route, type RouteReason, type Sight } from './route.ts';
import { cannotStart, etaLeft, queueFull, removedWhileWaiting, silentTooLong, waitedTooLong, waitingFor } from './refusals.ts';
import type { LiveSet, Seated } from './live-set.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { Upstreams } from './upstreams.ts';
import type { Waiter, WaitingRoom } from './waiting-room.ts';

/** Tries of one request that an engine saw; one that never reached an engine does not count. */
const maxAttempts = 3;
/** Pause before a replica that refused the connection is asked again (its exit is known to all within this time), or the retry budget. */
const retryPauseMs = 50;

const untried: ReadonlySet<ReplicaId> = new Set();

export interface ExchangeDeps {
  readonly worker: number;
  table(): RoutingTable;
  /** When `table()` came, on `clock`: its estimates count from then. */
  tableSince(): number;
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
  readonly retries: RetryBudget;
  readonly memory: ReplicaMemory;
  readonly totals: LoadTotals;
  readonly settings: GatewaySettings;
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
  readonly #reply: ClientReply;
  readonly #requestId: string;
  readonly #startedAt: number;
  #tried: ReadonlySet<ReplicaId> = untried;
  #attempt: Attempt | undefined;
  readonly #affinity: number | undefined;
  #attempts = 0;
  #retrying = false;
  #waitingSlot: Slot | undefined;
  #ended = false;
  #head: ReplyHead | undefined;
  #events: EventBoundary | undefined;
  /** Whether the client has a byte of an engine's: from then on nothing is tried again. */
  #relayed = false;
  #lastByteAt: number;
  #lastSentAt: number;
  readonly #receipt: Receipt;
  #cancelPause: (() => void) | undefined;

  /** `acceptedAt`: when the gateway had the whole request, before it looked at it. */
  constructor(
    deps: ExchangeDeps,
    request: NormalizedRequest,
    raw: ServerResponse,
    { requestId, affinity, acceptedAt }: { requestId: string; affinity: number | undefined; acceptedAt: number },
  ) {
    this.#affinity = affinity;
    this.#deps = deps;
    this.request = request;
    this.#raw = raw;
    this.#reply = new ClientReply(raw, requestId);
    this.#requestId = requestId;
    this.#startedAt = acceptedAt;
    this.#receipt = new Receipt(acceptedAt);
    this.#lastByteAt = this.#startedAt;
    this.#lastSentAt = this.#startedAt;
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

  /** Milliseconds until a replica is expected, now. */
  #etaMs({ status }: ModelEntry): number | undefined {
    return etaLeft(status.etaMs, this.#deps.clock.now() - this.#deps.tableSince());
  }

  /** Sends the request if a replica can take it; true also when it ended instead. The pick and its count are one synchronous turn. */
  #routeNow(): boolean {
    const entry = this.#entry();
    if (entry === undefined) {
      this.fail(removedWhileWaiting(this.request));
      return true;
    }
    if (entry.replicas.length === 0 && entry.status.error?.permanent === true) {
      this.fail(cannotStart(this.model, entry, this.#etaMs(entry)));
      return true;
    }
    const { board, worker, memory, clock, totals } = this.#deps;
    const now = clock.now();
    const sight: Sight = {
      load: ({ slot }) => board.read(slot),
      total: () => totals.of(entry.replicas),
      admits: ({ id }) => memory.admits(id, now),
      share: ({ id }) => memory.share(id, now),
    };
    const request = { exclude: this.#tried, tieBreak: this.#deps.nextTieBreak(), affinity: this.#affinity };
    const decision = route(request, entry.replicas, sight);
    if (decision.kind === 'wait') return false;
    board.add(worker, decision.replica.slot, 1);
    memory.begun(decision.replica.id, now);
    this.#leaveRoom();
    this.#send(decision.replica, decision.reason, entry);
    return true;
  }

  #send(replica: ReplicaView, reason: RouteReason, entry: ModelEntry): void {
    const attempt = new Attempt(replica, this);
    this.#attempt = attempt;
    const now = this.#deps.clock.now();
    this.#receipt.routed(now, replica, reason);
    this.#lastByteAt = now;
    try {
      const dialect = this.#deps.dialects.get(entry.engine);
      if (dialect === undefined) throw new GatewayError('internal_error', `No dialect for the engine '${entry.engine}' in this worker.`);
      const { path, body } = dialect.toEngine(this.request);
      const key = replica.apiKey === '' ? [] : ['authorization', `Bearer ${replica.apiKey}`];
      const headers = ['content-type', 'application/json', ...key, 'x-request-id', this.#requestId];
      // Both of undici's timeouts are off: `checkDeadline` knows the first byte from the next ones, and uses the injected clock.
      this.#deps.upstreams.poolOf(replica).dispatch({ method: 'POST', path, headers, body, headersTimeout: 0, bodyTimeout: 0 }, attempt);
    } catch (error) {
      this.released('unknown');
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
      this.fail(removedWhileWaiting(this.request));
      return;
    }
    const { room, board, worker, clock } = this.#deps;
    this.#tried = untried;
    const { maxWaiting, queueTimeoutMs } = entry.limits;
    const leftMs = this.#startedAt + queueTimeoutMs - clock.now();
    if (maxWaiting >= 0 && room.waiting(this.model) >= maxWaiting) {
      this.fail(queueFull(this.model, entry, this.#etaMs(entry)));
      return;
    }
    if (leftMs <= 0) {
      this.expire();
      return;
    }
    this.#waitingSlot = entry.waiting;
    board.add(worker, entry.waiting, 1);
    room.enter(this, leftMs);
    this.#receipt.waits(clock.now(), entry.replicas.length === 0, room.waiting(this.model));
    // A place freed by another worker before this one was seen to wait woke nobody: look once more.
    if (room.waiting(this.model) === 1) room.wake(this.model);
  }

  tryLeave(): boolean {
    return this.#ended || this.#routeNow();
  }

  expire(): void {
    const entry = this.#entry();
    const waitedMs = this.#deps.clock.now() - this.#startedAt;
    this.fail(entry === undefined ? removedWhileWaiting(this.request) : waitedTooLong(this.model, entry, this.#etaMs(entry), waitedMs));
  }

  #leaveRoom(): void {
    if (this.#waitingSlot === undefined) return;
    this.#deps.board.add(this.#deps.worker, this.#waitingSlot, -1);
    this.#waitingSlot = undefined;
    this.#deps.room.leave(this);
  }

  // ── what the engine says ───────────────────────────────────────────────────

  began(status: number, contentType: string, contentLength: string | undefined): void {
    if (this.#ended) return;
    this.#head = { status, contentType, contentLength };
    // A stream's head waits for its first event, so that an engine that dies before it can still be replaced.
    if (isEventStream(contentType)) this.#events = new EventBoundary();
    else this.#beginRelay(this.#head);
  }

  received(chunk: Buffer): void {
    const attempt = this.#attempt;
    if (this.#ended || attempt === undefined || this.#head === undefined) return;
    const { board, worker, clock } = this.#deps;
    board.moved(worker, attempt.replica.slot);
    const now = clock.now();
    this.#lastByteAt = now;
    const bytes = this.#events === undefined ? chunk : this.#completeEvents(chunk);
    if (bytes === undefined || (!this.#relayed && !this.#beginRelay(this.#head))) return;
    this.#lastSentAt = now;
    const onDrained = (): void => {
      // Time spent waiting for the client is not the engine's silence.
      this.#lastByteAt = this.#deps.clock.now();
      attempt.resume();
    };
    if (!this.#reply.write(bytes, now, onDrained)) attempt.pause();
  }

  #completeEvents(chunk: Buffer): Buffer | undefined {
    try {
      return this.#events?.push(chunk);
    } catch (error) {
      this.fail(new GatewayError('upstream_invalid', `The engine sent ${messageOf(error)}.`, { cause: error }));
      return undefined;
    }
  }

  /** Passes the engine's head on; false when what the client already has does not allow it. */
  #beginRelay(head: ReplyHead): boolean {
    const now = this.#deps.clock.now();
    if (!this.#reply.begin(head, this.#receipt.headers(now, this.#deps.settings.debugHeaders))) {
      this.fail(new GatewayError('upstream_invalid', `The engine answered a stream with status ${head.status} and ${head.contentType}.`));
      return false;
    }
    this.#relayed = true;
    this.#deps.metrics.firstByte(this.model, now - this.#startedAt);
    return true;
  }

  ended(): void {
    if (this.#ended) return;
    const events = this.#events;
    if (events !== undefined && !events.done && !events.finished) {
      this.#broken(new Error('the stream ended before it was complete'), true);
      return;
    }
    this.#end(events?.failed === true ? 'engine_error' : 'ok');
    // An engine that said why it finished, and only forgot the end marker, has lost nothing.
    this.#reply.end(events === undefined || events.done ? undefined : 'data: [DONE]\n\n');
  }

  refused(status: number, body: string): void {
    if (this.#ended) return;
    const dialect = this.#deps.dialects.get(this.#entry()?.engine ?? '');
    const reply = engineErrorReply(status, dialect?.readError(status, body) ?? { message: body.slice(0, 2048) });
    // Some engines say 500 where they mean that they cannot serve now; their dialect knows.
    if (reply.status === 503 && this.#attempts + 1 < maxAttempts) {
      this.#retry(true);
      return;
    }
    this.#end('engine_error', reply.status);
    this.#reply.refuse(reply);
  }

  failed(error: Error, sent: boolean): void {
    if (!this.#ended) this.#broken(error, sent);
  }

  /** The connection broke, or the reply ended too early. */
  #broken(error: Error, sent: boolean): void {
    if (this.#relayed || (sent && this.#attempts + 1 >= maxAttempts)) {
      this.fail(
        new GatewayError('upstream_failed', `The engine of '${this.model}' broke the connection: ${error.message}.`, { cause: error }),
      );
      return;
    }
    this.#retry(sent);
  }

  released(verdict: Verdict): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { board, worker, room, memory, clock } = this.#deps;
    const brokeInside = verdict === 'ok' && this.#events?.failed === true;
    memory.concluded(attempt.replica.id, brokeInside ? 'failed' : verdict, clock.now());
    board.add(worker, attempt.replica.slot, -1);
    const entry = this.#entry();
    if (entry === undefined || board.read(entry.waiting) === 0) return;
    board.bumpEpoch();
    room.wake(this.model);
  }

  #retry(sent: boolean): void {
    const replica = this.#attempt?.replica.id;
    this.#attempt = undefined;
    this.#receipt.failed(this.#deps.clock.now());
    this.#head = undefined;
    this.#events = undefined;
    if (sent) this.#attempts += 1;
    if (replica !== undefined) this.#tried = new Set([...this.#tried, replica]);
    this.#deps.metrics.retried(this.model);
    const others = this.#entry()?.replicas.some(({ id }) => !this.#tried.has(id)) === true;
    if (sent || others) this.#retryInTurn();
    // The only replicas left refuse connections: until the table says so too, or one of them listens.
    else this.#pauseThen(() => this.#routeAnew());
  }

  /** Over the budget a retry is not refused: it waits until those before it have ended. */
  #retryInTurn(): void {
    this.#retrying ||= this.#deps.retries.take(this.#deps.live.size);
    if (!this.#retrying) this.#pauseThen(() => this.#retryInTurn());
    else if (!this.#routeNow()) this.#wait();
  }

  #routeAnew(): void {
    this.#tried = untried;
    if (!this.#routeNow()) this.#wait();
  }

  #pauseThen(next: () => void): void {
    const { clock } = this.#deps;
    const entry = this.#entry();
    if (entry === undefined || clock.now() + retryPauseMs >= this.#startedAt + entry.limits.queueTimeoutMs) {
      this.expire();
      return;
    }
    this.#receipt.waits(clock.now(), false, 0);
    this.#cancelPause = clock.after(retryPauseMs, () => {
      this.#cancelPause = undefined;
      next();
    });
  }

  // ── the end ────────────────────────────────────────────────────────────────

  /** Ends the request with an error, in whatever form the client can still be told. */
  fail(error: GatewayError): void {
    if (this.#ended) return;
    this.#end(error.code, this.#reply.begun ? undefined : errorTable[error.code].status);
    this.#reply.fail(error);
    this.#attempt?.abort(error);
  }

  #clientClosed(): void {
    if (this.#ended) return;
    this.#end('client_closed', 499);
    this.#attempt?.abort(new Error('the client closed the connection'));
  }

  #end(outcome: Outcome, status: number = this.#head?.status ?? (this.#reply.begun ? 200 : 0)): void {
    this.#ended = true;
    if (this.#retrying) this.#deps.retries.giveBack();
    this.#cancelPause?.();
    this.#leaveRoom();
    this.#deps.live.delete(this);
    const { overheadMs } = this.#receipt;
    if (overheadMs !== undefined) this.#deps.metrics.overhead(overheadMs);
    this.#deps.metrics.finished(this.model, this.request.operation, status, outcome, this.#deps.clock.now() - this.#startedAt);
  }

  /** Called about once a second: keeps a silent stream alive, and ends what has been silent, or has not been read, for too long. */
  check(now: number): void {
    const entry = this.#entry();
    if (this.#ended || entry === undefined) return;
    const { stalledAt } = this.#reply;
    if (stalledAt !== undefined) {
      if (now - stalledAt >= this.#deps.settings.client.writeStallMs) this.#clientStalled();
      return;
    }
    if (this.#attempt !== undefined && this.#silentTooLong(now, entry.limits)) return;
    if (!this.request.stream || now - this.#lastSentAt < this.#deps.settings.client.heartbeatMs) return;
    this.#lastSentAt = now;
    this.#reply.heartbeat(this.#attempt === undefined ? waitingFor(entry, this.#etaMs(entry)) : 'working');
  }

  #silentTooLong(now: number, limits: ModelLimits): boolean {
    const silentMs = now - this.#lastByteAt;
    const allowedMs = this.#relayed ? limits.idleTimeoutMs : limits.firstByteTimeoutMs;
    if (silentMs < allowedMs) return false;
    const limit = this.#relayed ? 'gateway.timeouts.idle_s' : 'gateway.timeouts.first_byte_s';
    this.#attempt?.blame();
    this.fail(silentTooLong(this.model, silentMs, limit));
    return true;
  }

  /** The client holds its connection and reads nothing: the engine's slot is worth more. */
  #clientStalled(): void {
    this.#end('client_stalled', this.#head?.status);
    this.#reply.cut();
    this.#attempt?.abort(new Error('the client stopped reading'));
  }
}
