import type { Clock } from '../core/clock.ts';
import type { AdapterDesk } from './adapters/desk.ts';
import type { ReplicaSet } from './replica-set.ts';
import type { ReplicaState } from './replica-state.ts';
import type { Slots } from './slots.ts';
import type { StartQueue } from './start-queue.ts';
import type { TablePublisher } from './table-publisher.ts';

/** How often the second fact of a drain (nothing in flight) is looked for. */
const pollMs = 50;
/** Whether `drained` is waited for. */
const awaitsQuiet = (state: ReplicaState): boolean =>
  state.kind === 'draining' || (state.kind === 'falling-asleep' && state.deadline === undefined);

export interface DrainsDeps {
  readonly clock: Clock;
  readonly replicas: ReplicaSet;
  readonly adapters: Pick<AdapterDesk, 'settle' | 'unsettled'>;
  readonly tables: Pick<TablePublisher, 'quiet'>;
  readonly slots: Slots;
  readonly starts: Pick<StartQueue, 'wake'>;
}

/** Looks for the two facts that end a drain: of replicas, of adapters, and of slots that are to be used again. */
export class Drains {
  readonly #deps: DrainsDeps;
  #cancelPoll: (() => void) | undefined;
  #closed = false;

  constructor(deps: DrainsDeps) {
    this.#deps = deps;
  }

  /** Looks now, and goes on looking while there is something to wait for. To be called whenever a fact may have become true. */
  settle(): void {
    const { clock, replicas, adapters, tables, slots, starts } = this.#deps;
    adapters.settle();
    let waiting = adapters.unsettled;
    for (const replica of replicas.all()) {
      if (!awaitsQuiet(replica.state) || replica.slot === undefined) continue;
      if (tables.quiet(replica.slot)) replica.send({ kind: 'drained' });
      else waiting = true;
    }
    if (slots.reclaim((slot) => tables.quiet(slot))) starts.wake();
    this.#cancelPoll?.();
    // A worker that was ended at once never gives its places back: who waits for that afterwards waits for ever.
    if (this.#closed) return;
    this.#cancelPoll = waiting || slots.retiring > 0 ? clock.after(pollMs, () => this.settle()) : undefined;
  }

  /** Looks no more by itself. */
  close(): void {
    this.#closed = true;
    this.#cancelPoll?.();
  }
}
