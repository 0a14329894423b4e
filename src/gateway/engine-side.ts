import { GatewayError, messageOf } from '../core/errors.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { LoadedAdapter, ModelEntry, ReplicaView } from '../core/table.ts';
import type { Dialect } from '../plugins/engine-plugin.ts';
import { abandon } from './abandon.ts';
import { Attempt, type AttemptListener, verdictOf } from './attempt.ts';
import type { Verdict } from './breaker.ts';
import { droppedNames, type EngineCall, engineHeaders, prepareCall } from './engine-call.ts';
import { operations } from './operations.ts';
import { engineErrorReply, type ErrorReply } from './openai/error-body.ts';
import { withBody } from './openai/normalize.ts';
import type { Receipt } from './receipt.ts';
import { type Invalid, type Relay, type RelayEnd, verdictOfEnd } from './relay.ts';
import type { Failure, Search, SearchDeps } from './search.ts';
import type { Upstreams } from './upstreams.ts';

export interface EngineSideDeps extends SearchDeps {
  readonly upstreams: Upstreams;
  readonly dialects: ReadonlyMap<string, Dialect>;
}

/** Whose request it is: who ends it, once. */
export interface Owner {
  readonly request: NormalizedRequest;
  readonly receipt: Receipt;
  /** From then on nothing that an engine says matters. */
  readonly ended: boolean;
  /** Bytes of an engine's came. */
  saw(chunk: Buffer): void;
  /** Ends it well; `last`: bytes that the client still needs. */
  complete(last: string | Buffer | undefined): void;
  /** Ends it with an engine's refusal. */
  refuse(reply: ErrorReply): void;
  /** Ends it with an error of ours. */
  fail(error: GatewayError): void;
}

const gaveUp = (): Error => new Error('it gave the request up');

/**
 * What one request has with engines: the attempt that is at work on it, its place on the board, and what is made of what an engine says -
 * passed on, tried again elsewhere, gone on with elsewhere, or the request's end.
 */
export class EngineSide implements AttemptListener {
  readonly #deps: EngineSideDeps;
  readonly #owner: Owner;
  readonly #search: Search;
  readonly #relay: Relay;
  readonly #requestId: string;
  #attempt: Attempt | undefined;
  #call: EngineCall | undefined;
  /** Of the present attempt's reply, once it is whole. */
  #replyEnd: RelayEnd | undefined;
  /** What the next replica is asked: the client's request, or what is left of it. */
  #asked: NormalizedRequest;

  constructor(deps: EngineSideDeps, owner: Owner, search: Search, relay: Relay, requestId: string) {
    this.#deps = deps;
    this.#owner = owner;
    this.#search = search;
    this.#relay = relay;
    this.#requestId = requestId;
    this.#asked = owner.request;
  }

  /** Whether an engine has the request. */
  get busy(): boolean {
    return this.#attempt !== undefined;
  }

  // ── out ────────────────────────────────────────────────────────────────────

  /** Proves that the request can be put into the engine's words. @throws GatewayError */
  prove(entry: ModelEntry): void {
    this.#prepare(entry);
  }

  /** @param adapter its handle on the replica. */
  #prepare({ engine, unsupportedParams: policy, capabilities: can }: ModelEntry, adapter?: string): EngineCall {
    return prepareCall({ dialect: this.#deps.dialects.get(engine), engine, policy, adapter, can }, this.#asked);
  }

  #loadedOn({ adapters }: ReplicaView): LoadedAdapter | undefined {
    const { adapter } = this.#owner.request;
    return adapter === undefined ? undefined : adapters?.get(adapter);
  }

  /**
   * Sends the request to the replica that it is counted on. `onDropped` gets the names of parameters that the client is to be told of,
   * before anything else happens. Fails it where it cannot be sent.
   */
  send(replica: ReplicaView, entry: ModelEntry, onDropped: (names: string) => void): void {
    const attempt = new Attempt(replica, this);
    this.#attempt = attempt;
    try {
      const call = this.#prepare(entry, this.#loadedOn(replica)?.handle);
      this.#call = call;
      const dropped = droppedNames(call, entry.unsupportedParams);
      if (dropped !== undefined) onDropped(dropped);
      const { path, body, contentType, lastOnConnection: reset = false } = call.request;
      const headers = engineHeaders(replica, this.#requestId, contentType);
      // Both of undici's timeouts are off: the sweep over silent exchanges knows the first byte from the next ones, and uses the injected clock.
      this.#deps.upstreams
        .poolOf(replica)
        .dispatch({ method: 'POST', path, headers, body, reset, headersTimeout: 0, bodyTimeout: 0 }, attempt);
    } catch (error) {
      this.released('unknown');
      this.#owner.fail(unsendable(error));
    }
  }

  /** Nobody waits for a reply any more. */
  abandon(reason: Error): void {
    if (this.#attempt === undefined) return;
    const { metrics, upstreams } = this.#deps;
    const how = { call: this.#call, requestId: this.#requestId, upstreams, reason };
    abandon(this.#attempt, how, (abandoned) => metrics.abandoned(this.#owner.request.model, abandoned));
  }

  /** The engine has been silent for too long: another one goes on where that can be, else the request fails. */
  silent(error: GatewayError): void {
    this.#attempt?.blame();
    if (this.#relay.canGoOn) this.#attempt?.abort(error);
    else this.#owner.fail(error);
  }

  // ── in ─────────────────────────────────────────────────────────────────────

  began(status: number, contentType: string, contentLength: string | undefined): void {
    const attempt = this.#attempt;
    if (this.#owner.ended || attempt === undefined) return;
    const resumes = this.#search.entry()?.resumeStreams === true;
    const head = { status, contentType, contentLength };
    const step = this.#relay.begin(head, this.#call?.mender, attempt, this.#owner.request, resumes);
    if (step.kind === 'invalid') this.#rejectReply(step);
  }

  received(chunk: Buffer): void {
    const attempt = this.#attempt;
    if (this.#owner.ended || attempt === undefined) return;
    this.#deps.board.moved(this.#deps.worker, attempt.replica.slot);
    this.#owner.saw(chunk);
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
    this.#owner.fail(new GatewayError('upstream_invalid', message, { cause }));
  }

  /** An error that came as an event of the stream. Before anything was passed on it can still be what it would have been: a status. */
  #failedInside(status: number, body: string, attempt: Attempt): void {
    attempt.discard(new Error('the engine failed'), verdictOf(status));
    if (this.#relay.begun && !this.#resume()) this.#owner.refuse(this.#read(status, body));
    else if (!this.#relay.begun) this.refused(status, body);
  }

  judged(): Verdict {
    if (this.#owner.ended) return 'ok';
    this.#replyEnd = this.#relay.finish();
    return verdictOfEnd(this.#replyEnd);
  }

  ended(): void {
    const end = this.#replyEnd;
    if (this.#owner.ended || end === undefined) return;
    switch (end.kind) {
      case 'whole':
        this.#owner.complete(end.last);
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
    if (this.#owner.ended) return;
    const reply = this.#read(status, body);
    // Some engines say 500 where they mean that they cannot serve now; their dialect knows.
    if (reply.status === 503 && this.#search.mayTryAgain) this.#retry('refused');
    else this.#owner.refuse(reply);
  }

  #read(status: number, body: string): ErrorReply {
    const error = this.#call?.dialect.readError(status, body) ?? { message: body.slice(0, 2048) };
    return engineErrorReply(status, error, operations[this.#owner.request.operation].api);
  }

  failed(error: Error, sent: boolean): void {
    if (!this.#owner.ended) this.#broken(error, sent);
  }

  /** The connection broke, or the reply ended too early. */
  #broken(error: Error, sent: boolean): void {
    const { begun } = this.#relay;
    if (begun && this.#resume()) return;
    if (begun || (sent && !this.#search.mayTryAgain)) {
      const message = `The engine of '${this.#owner.request.model}' broke the connection: ${error.message}.`;
      this.#owner.fail(new GatewayError('upstream_failed', message, { cause: error }));
      return;
    }
    this.#retry(sent ? 'broken' : 'unsent');
  }

  /** Lets another replica go on with the client's stream; false when that cannot be. */
  #resume(): boolean {
    const how = this.#call?.dialect.goOn;
    if (how === undefined || !this.#relay.canGoOn || !this.#search.mayTryAgain) return false;
    const { request } = this.#owner;
    const rest = this.#relay.goOn(request, how);
    if ('ending' in rest) {
      this.#owner.complete(rest.ending);
      return true;
    }
    this.#asked = withBody(request, rest.body);
    this.#search.restart();
    this.#deps.metrics.resumed(request.model);
    this.#retry('broken');
    return true;
  }

  #retry(failure: Failure): void {
    const replica = this.#attempt?.replica.id;
    this.#attempt = undefined;
    this.#owner.receipt.failed(this.#deps.clock.now());
    this.#call = undefined;
    this.#relay.forget();
    this.#search.again(replica, failure);
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
    room.wake(this.#owner.request.model);
  }
}

/** What an error on the way to an engine is to the client. */
export function unsendable(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('internal_error', `The request could not be sent: ${messageOf(error)}`, { cause: error });
}
