import type { Clock } from '../core/clock.ts';
import type { ModelName } from '../core/ids.ts';

export interface Waiter {
  readonly model: ModelName;
  /** Whether it cannot go to every replica of its model: then those behind it, who can, may leave before it. */
  readonly picky: boolean;
  /** Tries to be routed now. True when it needs to wait no longer, for whatever reason. */
  tryLeave(): boolean;
  /** Its time is up. Called after it has left the room. */
  expire(): void;
}

/**
 * Requests of one worker that no replica could take yet: in order for each model, bounded by the caller, woken by a
 * new table or a freed place.
 */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #queues = new Map<ModelName, Set<Waiter>>();
  readonly #timers = new Map<Waiter, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests of `model` that wait in this worker. */
  waiting(model: ModelName): number {
    return this.#queues.get(model)?.size ?? 0;
  }

  /** `withinMs`: when `expire` is called, unless it has left before. */
  enter(waiter: Waiter, withinMs: number): void {
    const queue = this.#queues.get(waiter.model) ?? new Set();
    queue.add(waiter);
    this.#queues.set(waiter.model, queue);
    this.#timers.set(
      waiter,
      this.#clock.after(withinMs, () => {
        this.leave(waiter);
        waiter.expire();
      }),
    );
  }

  /** Whether nobody who waits for `model` has a right to the next place. */
  isOpen(model: ModelName): boolean {
    for (const waiter of this.#queues.get(model) ?? []) if (!waiter.picky) return false;
    return true;
  }

  /** Takes a waiter out without calling it; harmless when it has left already. */
  leave(waiter: Waiter): void {
    this.#timers.get(waiter)?.();
    this.#timers.delete(waiter);
    const queue = this.#queues.get(waiter.model);
    if (queue?.delete(waiter) === true && queue.size === 0) this.#queues.delete(waiter.model);
  }

  /** Lets the waiters of a model leave, first come first served, until one cannot that would go anywhere. */
  wake(model: ModelName): void {
    for (const waiter of this.#queues.get(model) ?? []) {
      if (waiter.tryLeave()) this.leave(waiter);
      else if (!waiter.picky) return;
    }
  }

  wakeAll(): void {
    // A copy: whoever wakes may come back, and would be met again and again.
    for (const model of Array.from(this.#queues.keys())) this.wake(model);
  }
}
