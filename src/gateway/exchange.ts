import type { ServerResponse } from 'node:http';
import { errorTable, type GatewayError } from '../core/errors.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { ModelEntry, ReplicaView } from '../core/table.ts';
import type { Grant } from './auth/grant.ts';
import { ClientReply } from './client-reply.ts';
import { EngineSide, type EngineSideDeps, type Owner, unsendable } from './engine-side.ts';
import type { LiveSet, Seated } from './live-set.ts';
import type { Outcome } from './metrics.ts';
import { operations } from './operations.ts';
import type { ErrorReply } from './openai/error-body.ts';
import { Receipt } from './receipt.ts';
import { silentTooLong, waitingFor } from './refusals.ts';
import { type Opening, Relay } from './relay.ts';
import type { RouteReason } from './route.ts';
import { Search, type Seeker } from './search.ts';
import { judgeSilence } from './silence.ts';

export interface ExchangeDeps extends EngineSideDeps {
  /** Every exchange that has not ended; kept by the exchanges themselves. */
  readonly live: LiveSet<Exchange>;
  readonly settings: GatewaySettings;
}

export interface ExchangeStart {
  readonly requestId: string;
  readonly affinity: number | undefined;
  /** When the gateway had the whole request, before it looked at it. */
  readonly acceptedAt: number;
  /** Given back at the end. */
  readonly grant: Grant | undefined;
  /** Name of the key it is counted by; undefined: by none. */
  readonly countedKey: string | undefined;
}

/**
 * One request from acceptance to last byte: routed, perhaps waiting, sent, relayed; tried again elsewhere only while
 * the client has no byte. Ends exactly once, and then holds nothing.
 */
export class Exchange implements Seeker, Owner, Opening, Seated {
  seat = -1;
  readonly request: NormalizedRequest;
  readonly affinity: number | undefined;
  readonly receipt: Receipt;
  readonly #deps: ExchangeDeps;
  readonly #raw: ServerResponse;
  readonly #startedAt: number;
  readonly #reply: ClientReply;
  readonly #search: Search;
  readonly #relay: Relay;
  readonly #engine: EngineSide;
  #ended = false;
  readonly #grant: Grant | undefined;
  readonly #countedKey: string | undefined;

  constructor(
    deps: ExchangeDeps,
    request: NormalizedRequest,
    raw: ServerResponse,
    { requestId, affinity, acceptedAt, grant, countedKey }: ExchangeStart,
  ) {
    this.#deps = deps;
    this.request = request;
    this.affinity = affinity;
    this.#raw = raw;
    this.#startedAt = acceptedAt;
    this.#grant = grant;
    this.#countedKey = countedKey;
    this.receipt = new Receipt(acceptedAt);
    this.#reply = new ClientReply(raw, requestId, operations[request.operation].api);
    this.#search = new Search(deps, this, acceptedAt);
    this.#relay = new Relay(this.#reply, deps.clock, acceptedAt, this);
    this.#engine = new EngineSide(deps, this, this.#search, this.#relay, requestId);
  }

  get model(): NormalizedRequest['model'] {
    return this.request.model;
  }

  get ended(): boolean {
    return this.#ended;
  }

  // ── the way to an engine ───────────────────────────────────────────────────

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
      this.#engine.prove(entry);
      return false;
    } catch (error) {
      this.fail(unsendable(error));
      return true;
    }
  }

  send(replica: ReplicaView, reason: RouteReason, entry: ModelEntry): void {
    const now = this.#deps.clock.now();
    this.receipt.routed(now, replica, reason);
    this.#relay.heardAt = now;
    this.#engine.send(replica, entry, (names) => this.#reply.note('x-gateway-dropped-params', names));
  }

  // ── the way back ───────────────────────────────────────────────────────────

  headers(now: number): readonly string[] {
    const headers = this.receipt.headers(now, this.#deps.settings.debugHeaders);
    return this.#grant === undefined ? headers : [...headers, ...this.#grant.headers];
  }

  opened(now: number): void {
    this.#deps.metrics.firstByte(this.model, now - this.#startedAt);
  }

  saw(chunk: Buffer): void {
    this.#grant?.saw(chunk);
  }

  // ── the end ────────────────────────────────────────────────────────────────

  complete(last: string | Buffer | undefined): void {
    this.#end('ok');
    this.#reply.end(last);
  }

  refuse(reply: ErrorReply): void {
    this.#end('engine_error', this.#relay.begun ? undefined : reply.status);
    this.#reply.refuse(reply);
  }

  /** Ends the request with an error, in whatever form the client can still be told. */
  fail(error: GatewayError): void {
    if (this.#ended) return;
    this.#end(error.code, this.#reply.begun ? undefined : errorTable[error.code].status);
    this.#reply.fail(error);
    this.#engine.abandon(error);
  }

  #clientClosed(): void {
    if (this.#ended) return;
    this.#end('client_closed', 499);
    this.#engine.abandon(new Error('the client closed the connection'));
  }

  /** The client holds its connection and reads nothing: the engine's slot is worth more. */
  #clientStalled(): void {
    this.#end('client_stalled');
    this.#reply.cut();
    this.#engine.abandon(new Error('the client stopped reading'));
  }

  #end(outcome: Outcome, status: number = this.#relay.status ?? (this.#reply.begun ? 200 : 0)): void {
    this.#ended = true;
    this.#search.end();
    this.#deps.live.delete(this);
    this.#grant?.end(outcome === 'client_closed' && this.#engine.busy);
    const { overheadMs } = this.receipt;
    if (overheadMs !== undefined) this.#deps.metrics.overhead(overheadMs);
    for (const [phase, ms] of this.receipt.waitedMs()) this.#deps.metrics.waited(this.model, phase, ms);
    if (this.#countedKey !== undefined) this.#deps.metrics.requestOfKey(this.#countedKey, outcome);
    this.#deps.metrics.finished(this.model, this.request.operation, status, outcome, this.#deps.clock.now() - this.#startedAt);
  }

  // ── silence ────────────────────────────────────────────────────────────────

  /** Called about once a second: keeps a silent stream alive, and ends what has been silent, or has not been read, for too long. */
  check(now: number): void {
    const entry = this.#search.entry();
    if (this.#ended || entry === undefined) return;
    const { heardAt, sentAt, replying } = this.#relay;
    const engineSince = this.#engine.busy ? heardAt : undefined;
    const quiet = { stalledAt: this.#reply.stalledAt, engineSince, replying, stream: this.request.stream, sentAt };
    const verdict = judgeSilence(quiet, now, entry.limits, this.#deps.settings.client);
    switch (verdict.kind) {
      case 'patience':
        return;
      case 'heartbeat':
        this.#relay.sentAt = now;
        this.#reply.heartbeat(this.#engine.busy ? 'working' : waitingFor(entry, this.#search.etaMs(entry)));
        return;
      case 'client-stalled':
        this.#clientStalled();
        return;
      case 'engine-silent':
        this.#engine.silent(silentTooLong(this.model, verdict.silentMs, verdict.limit));
        return;
    }
  }
}
