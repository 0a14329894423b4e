import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import type { GatewayError } from '../core/errors.ts';
import type { ModelName, ReplicaId, Slot } from '../core/ids.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { ModelEntry, ReplicaView, RoutingTable } from '../core/table.ts';
import type { CandidateLists } from './candidates.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { Receipt } from './receipt.ts';
import { cannotStart, etaLeft, queueFull, removedWhileWaiting, waitedTooLong } from './refusals.ts';
import type { ReplicaMemory } from './replica-memory.ts';
import { ReplicaSight } from './replica-sight.ts';
import type { RetryBudget } from './retry-budget.ts';
import { route, type RouteReason } from './route.ts';
import type { Waiter, WaitingRoom } from './waiting-room.ts';

/** Tries of one request that an engine saw; one that never reached an engine does not count. */
const maxAttempts = 3;
/** Pause before a replica that refused the connection is asked again (its exit is known to all within this time), or the retry budget. */
const retryPauseMs = 50;

/**
 * How long a request that replicas have failed waits for others that are full, or that come, before it would take one of those again: an
 * engine that is dying answers errors for 0.6 s (vLLM 0.26, after its core was killed), and then the table says so.
 */
const shunMs = 1000;

const untried: ReadonlySet<ReplicaId> = new Set();

/** How a replica failed a request: it never saw it (`unsent`), the connection broke, or it said that it cannot serve now (503). */
export type Failure = 'unsent' | 'broken' | 'refused';

export interface SearchDeps {
  readonly worker: number;
  table(): RoutingTable;
  /** When `table()` came, on `clock`: its estimates count from then. */
  tableSince(): number;
  readonly board: LoadBoard;
  readonly room: WaitingRoom;
  readonly metrics: GatewayMetrics;
  readonly clock: Clock;
  /** Told when the first request waits for a model that has no replica. */
  demand(model: ModelName): void;
  /** A number ≥ 0 that differs from call to call, so that equal replicas take turns. */
  nextTieBreak(): number;
  /** Requests of this worker that have not ended. */
  readonly live: { readonly size: number };
  readonly retries: RetryBudget;
  readonly memory: ReplicaMemory;
  readonly candidates: CandidateLists;
}

/** Whom a replica is looked for. */
export interface Seeker {
  readonly request: NormalizedRequest;
  readonly receipt: Receipt;
  /** Requests with the same key prefer the same replica. */
  readonly affinity: number | undefined;
  /** A replica was found, and the request is counted on it. */
  send(replica: ReplicaView, reason: RouteReason, entry: ModelEntry): void;
  /** None will be found. */
  fail(error: GatewayError): void;
}

/** Finds a replica for one request: now or after a wait, and another one when that has failed it. Holds its place in the waiting room. */
export class Search implements Waiter {
  readonly #deps: SearchDeps;
  readonly #seeker: Seeker;
  #tried: ReadonlySet<ReplicaId> = untried;
  /** Those of them that said 503: where no other is left they are given time, while one that broke a connection is asked again at once. */
  #refusing: ReadonlySet<ReplicaId> = untried;
  #attempts = 0;
  #retrying = false;
  #waitingSlot: Slot | undefined;
  #cancelPause: (() => void) | undefined;
  #ended = false;
  /** When it began to look. */
  #since: number;

  constructor(deps: SearchDeps, seeker: Seeker, since: number) {
    this.#deps = deps;
    this.#seeker = seeker;
    this.#since = since;
  }

  get model(): NormalizedRequest['model'] {
    return this.#seeker.request.model;
  }

  get adapter(): NormalizedRequest['adapter'] {
    return this.#seeker.request.adapter;
  }

  /** The model's entry in the present table. */
  entry(): ModelEntry | undefined {
    return this.#deps.table().models.get(this.model);
  }

  /** Milliseconds until a replica is expected, now. */
  etaMs({ status }: ModelEntry): number | undefined {
    return etaLeft(status.etaMs, this.#deps.clock.now() - this.#deps.tableSince());
  }

  /** Whether a request that the last replica has seen may be tried once more. */
  get mayTryAgain(): boolean {
    return this.#attempts + 1 < maxAttempts;
  }

  begin(): void {
    const { adapter } = this;
    if (adapter !== undefined)
      this.#deps.metrics.adapterAsked(this.model, this.entry()?.replicas.some(({ adapters }) => adapters?.has(adapter) === true) === true);
    if (!this.#deps.room.isOpen(this.model, this.adapter) || !this.#routeNow()) this.#wait();
  }

  /** What failed it, it meets again only where there is no other. */
  get picky(): boolean {
    return this.#tried.size > 0;
  }

  /** Looks for another replica. */
  again(failed: ReplicaId | undefined, failure: Failure): void {
    const sent = failure !== 'unsent';
    if (sent) this.#attempts += 1;
    if (failed !== undefined) this.#tried = new Set([...this.#tried, failed]);
    if (failed !== undefined && failure === 'refused') this.#refusing = new Set([...this.#refusing, failed]);
    this.#deps.metrics.retried(this.model);
    const others = this.entry()?.replicas.some(({ id }) => !this.#tried.has(id)) === true;
    if (sent || others) this.#retryInTurn();
    // The only replicas left refuse connections: until the table says so too, or one of them listens.
    else this.#pauseThen(() => this.#routeAnew());
  }

  /** The time it may take counts from now: what was found before has done its part. */
  restart(): void {
    this.#since = this.#deps.clock.now();
  }

  /** Gives back what it holds. To be called once. */
  end(): void {
    this.#ended = true;
    if (this.#retrying) this.#deps.retries.giveBack();
    this.#cancelPause?.();
    this.#leaveRoom();
  }

  /** Sends the request if a replica can take it; true also when it ended instead. The pick and its count are one synchronous turn. */
  #routeNow(): boolean {
    const entry = this.entry();
    if (entry === undefined) {
      this.#seeker.fail(removedWhileWaiting(this.#seeker.request));
      return true;
    }
    if (entry.replicas.length === 0 && entry.status.error?.permanent === true) {
      this.#seeker.fail(cannotStart(this.model, entry, this.etaMs(entry)));
      return true;
    }
    const { board, worker, memory, clock } = this.#deps;
    const { adapter } = this;
    const all = this.#deps.candidates.of(entry);
    const candidates = adapter === undefined ? all : all.withAdapter(adapter);
    const { replicas } = candidates;
    if (this.#refusing.size > 0 && replicas.length > 0 && replicas.every(({ id }) => this.#refusing.has(id))) return false;
    const now = clock.now();
    const request = { exclude: this.#tried, tieBreak: this.#deps.nextTieBreak(), affinity: this.#seeker.affinity };
    const decision = route(request, replicas, new ReplicaSight(candidates, board, memory, now));
    if (decision.kind === 'wait') return false;
    board.add(worker, decision.replica.slot, 1);
    const own = adapter === undefined ? undefined : decision.replica.adapters?.get(adapter)?.slot;
    if (own !== undefined) {
      board.add(worker, own, 1);
      board.moved(worker, own);
    }
    memory.begun(decision.replica.id, now);
    this.#leaveRoom();
    this.#seeker.send(decision.replica, decision.reason, entry);
    return true;
  }

  #wait(): void {
    const entry = this.entry();
    if (entry === undefined) {
      this.#seeker.fail(removedWhileWaiting(this.#seeker.request));
      return;
    }
    const { room, board, worker, clock } = this.#deps;
    const { maxWaiting, queueTimeoutMs } = entry.limits;
    const leftMs = this.#since + queueTimeoutMs - clock.now();
    // Over all workers; two that take a request in at one moment may both find the last place free.
    if (maxWaiting >= 0 && board.read(entry.waiting) >= maxWaiting) {
      this.#seeker.fail(queueFull(this.model, entry, this.etaMs(entry)));
      return;
    }
    if (leftMs <= 0) {
      this.expire();
      return;
    }
    this.#waitingSlot = entry.waiting;
    board.add(worker, entry.waiting, 1);
    room.enter(this, leftMs);
    if (this.picky) this.#shunFor(shunMs);
    this.#seeker.receipt.waits(clock.now(), entry.replicas.length === 0, room.waiting(this.model));
    if (entry.replicas.length === 0 && room.waiting(this.model) === 1) this.#deps.demand(this.model);
    // A place freed by another worker before this one was seen to wait woke nobody: look once more.
    if (room.waitingAlike(this.model, this.adapter) === 1) room.wake(this.model);
  }

  tryLeave(): boolean {
    return this.#ended || this.#routeNow();
  }

  expire(): void {
    const entry = this.entry();
    const waitedMs = this.#deps.clock.now() - this.#since;
    this.#seeker.fail(
      entry === undefined ? removedWhileWaiting(this.#seeker.request) : waitedTooLong(this.model, entry, this.etaMs(entry), waitedMs),
    );
  }

  #shunFor(ms: number): void {
    this.#cancelPause = this.#deps.clock.after(ms, () => {
      this.#cancelPause = undefined;
      this.#tried = untried;
      this.#refusing = untried;
      this.#deps.room.wake(this.model);
    });
  }

  refuse(error: GatewayError): void {
    this.#seeker.fail(error);
  }

  #leaveRoom(): void {
    if (this.#waitingSlot === undefined) return;
    this.#cancelPause?.();
    this.#deps.board.add(this.#deps.worker, this.#waitingSlot, -1);
    this.#waitingSlot = undefined;
    this.#deps.room.leave(this);
  }

  /** Over the budget a retry is not refused: it waits until those before it have ended. */
  #retryInTurn(): void {
    this.#retrying ||= this.#deps.retries.take(this.#deps.live.size);
    if (!this.#retrying) this.#pauseThen(() => this.#retryInTurn());
    else if (!this.#routeNow()) this.#wait();
  }

  #routeAnew(): void {
    this.#tried = untried;
    this.#refusing = untried;
    if (!this.#routeNow()) this.#wait();
  }

  #pauseThen(next: () => void): void {
    const { clock } = this.#deps;
    const entry = this.entry();
    if (entry === undefined || clock.now() + retryPauseMs >= this.#since + entry.limits.queueTimeoutMs) {
      this.expire();
      return;
    }
    this.#seeker.receipt.waits(clock.now(), false, 0);
    this.#cancelPause = clock.after(retryPauseMs, () => {
      this.#cancelPause = undefined;
      next();
    });
  }
}
