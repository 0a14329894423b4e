import type { Clock } from '../core/clock.ts';
import type { Slot } from '../core/ids.ts';
import type { Slots } from './slots.ts';

/** The right to start one engine process. */
export interface Turn {
  /** The board column of this run; its holder retires it when the run is over. */
  readonly slot: Slot;
  /** Lets the next one start. Calling it twice is calling it once. */
  started(): void;
}

interface Waiting {
  readonly grant: (turn: Turn) => void;
}

/**
 * Lets replicas start in the order they asked, a few at a time: engines load gigabytes and compile on all cores, so that many at once
 * are slower than some after others. A start that takes very long no longer holds the others up.
 */
export class StartQueue {
  readonly #clock: Clock;
  readonly #slots: Slots;
  readonly #limits: { readonly parallel: number; readonly longestMs: number };
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(clock: Clock, slots: Slots, limits: { readonly parallel: number; readonly longestMs: number }) {
    this.#clock = clock;
    this.#slots = slots;
    this.#limits = limits;
  }

  /** Resolves when its turn has come; rejects with `signal.reason` if aborted first. */
  take(signal: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const waiting: Waiting = {
        grant: (turn) => {
          signal.removeEventListener('abort', onAbort);
          resolve(turn);
        },
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.wake();
    });
  }

  /** Grants what can be granted now; to be called when a slot became free. */
  wake(): void {
    while (this.#running < this.#limits.parallel && this.#waiting.length > 0) {
      const slot = this.#slots.take();
      if (slot === undefined) return;
      this.#waiting.shift()?.grant(this.#turn(slot));
    }
  }

  #turn(slot: Slot): Turn {
    this.#running += 1;
    let over = false;
    const started = (): void => {
      if (over) return;
      over = true;
      cancel();
      this.#running -= 1;
      this.wake();
    };
    const cancel = this.#clock.after(this.#limits.longestMs, started);
    return { slot, started };
  }
}
