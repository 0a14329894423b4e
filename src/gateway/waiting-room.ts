import type { Clock } from '../core/clock.ts';
import type { GatewayError } from '../core/errors.ts';
import type { AdapterName, ModelName } from '../core/ids.ts';

export interface Waiter {
  readonly model: ModelName;
  /** Set when it waits for a replica that has this adapter. */
  readonly adapter: AdapterName | undefined;
  /** Whether it cannot go to every replica that its like can: then those behind it, who can, may leave before it. */
  readonly picky: boolean;
  /** Tries to be routed now. True when it needs to wait no longer, for whatever reason. */
  tryLeave(): boolean;
  /** Its time is up. Called after it has left the room. */
  expire(): void;
  /** Nothing will come of it. Called after it has left the room. */
  refuse(error: GatewayError): void;
}

/** Those who wait for one model, in order, and how many of them wait for the same: its base, or one of its adapters. */
interface Queue {
  readonly waiters: Map<Waiter, () => void>;
  readonly alike: Map<AdapterName | undefined, number>;
}

/**
 * Requests of one worker that no replica could take yet: in order for each model, bounded by the caller, woken by a
 * new table or a freed place.
 */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #onDemand: (model: ModelName, adapter: AdapterName, waiting: boolean) => void;
  readonly #queues = new Map<ModelName, Queue>();

  /** @param onDemand told when the first request begins to wait for an adapter, and when the last one has left. */
  constructor(clock: Clock, onDemand: (model: ModelName, adapter: AdapterName, waiting: boolean) => void) {
    this.#clock = clock;
    this.#onDemand = onDemand;
  }

  /** Requests of `model` that wait in this worker. */
  waiting(model: ModelName): number {
    return this.#queues.get(model)?.waiters.size ?? 0;
  }

  /** Those of them that wait for the same as one for `adapter` does. */
  waitingAlike(model: ModelName, adapter: AdapterName | undefined): number {
    return this.#queues.get(model)?.alike.get(adapter) ?? 0;
  }

  /** `withinMs`: when `expire` is called, unless it has left before. */
  enter(waiter: Waiter, withinMs: number): void {
    const { model, adapter } = waiter;
    const queue = this.#queues.get(model) ?? { waiters: new Map(), alike: new Map() };
    this.#queues.set(model, queue);
    const cancel = this.#clock.after(withinMs, () => {
      this.leave(waiter);
      waiter.expire();
    });
    queue.waiters.set(waiter, cancel);
    const before = queue.alike.get(adapter) ?? 0;
    queue.alike.set(adapter, before + 1);
    if (adapter !== undefined && before === 0) this.#onDemand(model, adapter, true);
  }

  /** Whether nobody who waits has a right to the next place that a request for `adapter` could take. */
  isOpen(model: ModelName, adapter: AdapterName | undefined): boolean {
    if (this.waitingAlike(model, adapter) === 0) return true;
    for (const waiter of this.#queues.get(model)?.waiters.keys() ?? []) if (waiter.adapter === adapter && !waiter.picky) return false;
    return true;
  }

  /** Takes a waiter out without calling it; harmless when it has left already. */
  leave(waiter: Waiter): void {
    const { model, adapter } = waiter;
    const queue = this.#queues.get(model);
    const cancel = queue?.waiters.get(waiter);
    if (queue === undefined || cancel === undefined) return;
    cancel();
    queue.waiters.delete(waiter);
    const left = (queue.alike.get(adapter) ?? 0) - 1;
    if (left > 0) queue.alike.set(adapter, left);
    else queue.alike.delete(adapter);
    if (queue.waiters.size === 0) this.#queues.delete(model);
    if (adapter !== undefined && left === 0) this.#onDemand(model, adapter, false);
  }

  /** Lets the waiters of a model leave, first come first served; one that cannot holds up those behind it that wait for the same. */
  wake(model: ModelName): void {
    const queue = this.#queues.get(model);
    if (queue === undefined) return;
    const heldUp = new Set<AdapterName | undefined>();
    for (const waiter of queue.waiters.keys()) {
      if (heldUp.has(waiter.adapter)) continue;
      if (waiter.tryLeave()) this.leave(waiter);
      else if (!waiter.picky) heldUp.add(waiter.adapter);
      if (heldUp.size >= queue.alike.size) return;
    }
  }

  wakeAll(): void {
    // A copy: whoever wakes may come back, and would be met again and again.
    for (const model of Array.from(this.#queues.keys())) this.wake(model);
  }

  /** Refuses all who wait for an adapter. */
  refuse(model: ModelName, adapter: AdapterName, error: GatewayError): void {
    for (const waiter of Array.from(this.#queues.get(model)?.waiters.keys() ?? [])) {
      if (waiter.adapter !== adapter) continue;
      this.leave(waiter);
      waiter.refuse(error);
    }
  }
}
