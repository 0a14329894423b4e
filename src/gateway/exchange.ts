import type { ServerResponse } from 'node:http';
import { errorTable, GatewayError, messageOf } from '../core/errors.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { LoadedAdapter, ModelEntry, ReplicaView } from '../core/table.ts';
import type { Dialect } from '../plugins/engine-plugin.ts';
import { abandon } from './abandon.ts';
import type { Grant } from './auth/grant.ts';
import { Attempt, type AttemptListener, verdictOf } from './attempt.ts';
import type { Verdict } from './breaker.ts';
import { ClientReply } from './client-reply.ts';
import { droppedNames, type EngineCall, engineHeaders, prepareCall } from './engine-call.ts';
import type { LiveSet, Seated } from './live-set.ts';
import type { Outcome } from './metrics.ts';
import { operations } from './operations.ts';
import { engineErrorReply, type ErrorReply } from './openai/error-body.ts';
import { withBody } from './openai/normalize.ts';
import { Receipt } from './receipt.ts';
import { silentTooLong, waitingFor } from './refusals.ts';
import { type Invalid, type Opening, Relay, type RelayEnd, verdictOfEnd } from './relay.ts';
import type { RouteReason } from './route.ts';
import { Search, type SearchDeps, type Seeker } from './search.ts';
import { judgeSilence } from './silence.ts';
import type { Upstreams } from './upstreams.ts';

export interface ExchangeDeps extends SearchDeps {
  readonly upstreams: Upstreams;
  readonly dialects: ReadonlyMap<string, Dialect>;
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

const gaveUp = (): Error => new Error('it gave the request up');

function unsendable(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('internal_error', `The request could not be sent: ${messageOf(error)}`, { cause: error });
}

/**
 * One request from acceptance to last byte: routed, perhaps waiting, sent, relayed; tried again elsewhere only while
 * the client has no byte. Ends exactly once, and then holds nothing.
 */
export class Exchange implements Seeker, AttemptListener, Opening, Seated {
  seat = -1;
  readonly request: NormalizedRequest;
  readonly affinity: number | undefined;
  readonly receipt: Receipt;
  readonly #deps: ExchangeDeps;
  readonly #raw: ServerResponse;
  readonly #requestId: string;
  readonly #startedAt: number;
  readonly #reply: ClientReply;
  readonly #search: Search;
  readonly #relay: Relay;
  #attempt: Attempt | undefined;
  #call: EngineCall | undefined;
  /** Of the present attempt's reply, once it is whole. */
  #replyEnd: RelayEnd | undefined;
  /** What the next replica is asked: the client's request, or what is left of it. */
  #asked: NormalizedRequest;
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
    this.#asked = request;
    this.#raw = raw;
    this.#requestId = requestId;
    this.#startedAt = acceptedAt;
    this.#grant = grant;
    this.#countedKey = countedKey;
    this.receipt = new Receipt(acceptedAt);
    this.#reply = new ClientReply(raw, requestId, operations[request.operation].api);
    this.#search = new Search(deps, this, acceptedAt);
    this.#relay = new Relay(this.#reply, deps.clock, acceptedAt, this);
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

  /** @param adapter its handle on the replica. */
  #prepare({ engine, unsupportedParams }: ModelEntry, adapter?: string): EngineCall {
    return prepareCall({ dialect: this.#deps.dialects.get(engine), engine, policy: unsupportedParams, adapter }, this.#asked);
  }

  #loadedOn({ adapters }: ReplicaView): LoadedAdapter | undefined {
    const { adapter } = this.request;
    return adapter === undefined ? undefined : adapters?.get(adapter);
  }

  // ── routing ────────────────────────────────────────────────────────────────

  send(replica: ReplicaView, reason: RouteReason, entry: ModelEntry): void {
    const attempt = new Attempt(replica, this);
    this.#attempt = attempt;
    const now = this.#deps.clock.now();
    this.receipt.routed(now, replica, reason);
    this.#relay.heardAt = now;
    try {
      const call = this.#prepare(entry, this.#loadedOn(replica)?.handle);
      this.#call = call;
      const dropped = droppedNames(call, entry.unsupportedParams);
      if (dropped !== undefined) this.#reply.note('x-gateway-dropped-params', dropped);
      const { path, body, contentType, lastOnConnection: reset = false } = call.request;
      const headers = engineHeaders(replica, this.#requestId, contentType);
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
    const attempt = this.#attempt;
    if (this.#ended || attempt === undefined) return;
    const resumes = this.#search.entry()?.resumeStreams === true;
    const step = this.#relay.begin({ status, contentType, contentLength }, this.#call?.mender, attempt, this.request, resumes);
    if (step.kind === 'invalid') this.#rejectReply(step);
  }

  headers(now: number): readonly string[] {
    const headers = this.receipt.headers(now, this.#deps.settings.debugHeaders);
    return this.#grant === undefined ? headers : [...headers, ...this.#grant.headers];
  }

  opened(now: number): void {
    this.#deps.metrics.firstByte(this.model, now - this.#startedAt);
  }

  received(chunk: Buffer): void {
    const attempt = this.#attempt;
    if (this.#ended || attempt === undefined) return;
    this.#deps.board.moved(this.#deps.worker, attempt.replica.slot);
    this.#grant?.saw(chunk);
    const step = this.#relay.push(chunk);
    switch (step.kind) {
      case 'going':
        return;
      case 'invalid':
        this.#rejectReply(step);
        return;
      case 'gave-up':
        attempt.discard(gaveUp(), 'busy');
        this.#broken(gaveUp(), true);
        return;
      case 'failed':
        this.#failedInside(step.status, step.body, attempt);
        return;
    }
  }

  #rejectReply({ message, blame, cause }: Invalid): void {
    if (blame) this.#attempt?.blame();
    this.fail(new GatewayError('upstream_invalid', message, { cause }));
  }

  /** An error that came as an event of the stream. Before anything was passed on it can still be what it would have been: a status. */
  #failedInside(status: number, body: string, attempt: Attempt): void {
    attempt.discard(new Error('the engine failed'), verdictOf(status));
    if (this.#relay.begun && !this.#resume()) this.#refuse(this.#read(status, body));
    else if (!this.#relay.begun) this.refused(status, body);
  }

  judged(): Verdict {
    if (this.#ended) return 'ok';
    this.#replyEnd = this.#relay.finish();
    return verdictOfEnd(this.#replyEnd);
  }

  ended(): void {
    const end = this.#replyEnd;
    if (this.#ended || end === undefined) return;
    switch (end.kind) {
      case 'whole':
        this.#end('ok');
        this.#reply.end(end.last);
        return;
      case 'incomplete':
        this.#broken(new Error('the stream ended before it was complete'), true);
        return;
      case 'gave-up':
        this.#broken(gaveUp(), true);
        return;
      case 'invalid':
        this.#rejectReply(end);
        return;
    }
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
    const error = this.#call?.dialect.readError(status, body) ?? { message: body.slice(0, 2048) };
    return engineErrorReply(status, error, operations[this.request.operation].api);
  }

  #refuse(reply: ErrorReply): void {
    this.#end('engine_error', this.#relay.begun ? undefined : reply.status);
    this.#reply.refuse(reply);
  }

  failed(error: Error, sent: boolean): void {
    if (!this.#ended) this.#broken(error, sent);
  }

  /** The connection broke, or the reply ended too early. */
  #broken(error: Error, sent: boolean): void {
    const { begun } = this.#relay;
    if (begun && this.#resume()) return;
    if (begun || (sent && !this.#search.mayTryAgain)) {
      this.fail(
        new GatewayError('upstream_failed', `The engine of '${this.model}' broke the connection: ${error.message}.`, { cause: error }),
      );
      return;
    }
    this.#retry(sent);
  }

  /** Lets another replica go on with the client's stream; false when that cannot be. */
  #resume(): boolean {
    const how = this.#call?.dialect.goOn;
    if (how === undefined || !this.#relay.canGoOn || !this.#search.mayTryAgain) return false;
    const rest = this.#relay.goOn(this.request, how);
    if ('ending' in rest) {
      this.#end('ok');
      this.#reply.end(rest.ending);
      return true;
    }
    this.#asked = withBody(this.request, rest.body);
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
    const adapterSlot = this.#loadedOn(attempt.replica)?.slot;
    if (adapterSlot !== undefined) board.add(worker, adapterSlot, -1);
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
    this.#relay.forget();
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

  #abandon(reason: Error): void {
    if (this.#attempt === undefined) return;
    const { metrics, upstreams } = this.#deps;
    const how = { call: this.#call, requestId: this.#requestId, upstreams, reason };
    abandon(this.#attempt, how, (abandoned) => metrics.abandoned(this.model, abandoned));
  }

  #clientClosed(): void {
    if (this.#ended) return;
    this.#end('client_closed', 499);
    this.#abandon(new Error('the client closed the connection'));
  }

  #end(outcome: Outcome, status: number = this.#relay.status ?? (this.#reply.begun ? 200 : 0)): void {
    this.#ended = true;
    this.#search.end();
    this.#deps.live.delete(this);
    this.#grant?.end(outcome === 'client_closed' && this.#attempt !== undefined);
    const { overheadMs } = this.receipt;
    if (overheadMs !== undefined) this.#deps.metrics.overhead(overheadMs);
    if (this.#countedKey !== undefined) this.#deps.metrics.requestOfKey(this.#countedKey, outcome);
    this.#deps.metrics.finished(this.model, this.request.operation, status, outcome, this.#deps.clock.now() - this.#startedAt);
  }

  // ── silence ────────────────────────────────────────────────────────────────

  /** Called about once a second: keeps a silent stream alive, and ends what has been silent, or has not been read, for too long. */
  check(now: number): void {
    const entry = this.#search.entry();
    if (this.#ended || entry === undefined) return;
    const { heardAt, sentAt, replying } = this.#relay;
    const engineSince = this.#attempt === undefined ? undefined : heardAt;
    const quiet = { stalledAt: this.#reply.stalledAt, engineSince, replying, stream: this.request.stream, sentAt };
    const verdict = judgeSilence(quiet, now, entry.limits, this.#deps.settings.client);
    switch (verdict.kind) {
      case 'patience':
        return;
      case 'heartbeat':
        this.#relay.sentAt = now;
        this.#reply.heartbeat(this.#attempt === undefined ? waitingFor(entry, this.#search.etaMs(entry)) : 'working');
        return;
      case 'client-stalled':
        this.#clientStalled();
        return;
      case 'engine-silent':
        this.#engineSilent(silentTooLong(this.model, verdict.silentMs, verdict.limit));
        return;
    }
  }

  #engineSilent(error: GatewayError): void {
    this.#attempt?.blame();
    if (this.#relay.canGoOn) this.#attempt?.abort(error);
    else this.fail(error);
  }

  /** The client holds its connection and reads nothing: the engine's slot is worth more. */
  #clientStalled(): void {
    this.#end('client_stalled');
    this.#reply.cut();
    this.#abandon(new Error('the client stopped reading'));
  }
}
