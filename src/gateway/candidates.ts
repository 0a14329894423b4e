import type { LoadBoard } from '../core/board.ts';
import type { AdapterName } from '../core/ids.ts';
import { heaviestOf, keyGroups, weightOf } from '../core/rendezvous.ts';
import type { ModelEntry, ReplicaView } from '../core/table.ts';

/** With fewer replicas it costs no more to look at all of them than to remember which one a group prefers. */
const fewest = 16;
/** Replicas whose cells are read anew for one pick, on average: with more of them a sum is used for several picks. */
const readsPerPick = 4;

/** Replicas that a request may choose from, and what one worker remembers of them, so that what a pick costs does not grow with their number. */
export class Candidates {
  readonly replicas: readonly ReplicaView[];
  readonly #board: LoadBoard;
  /** The replicas' own, side by side in memory. */
  readonly #indices: Uint32Array;
  readonly #byAdapter = new Map<AdapterName, Candidates>();
  #total = 0;
  /** Picks that the total is still good for. */
  #uses = 0;
  /** For each group one more than the place of the replica that it prefers; 0 where it is not known yet. */
  #places: Uint8Array | Uint16Array | undefined;

  constructor(replicas: readonly ReplicaView[], board: LoadBoard) {
    this.replicas = replicas;
    this.#board = board;
    this.#indices = Uint32Array.from(replicas, ({ index }) => index);
  }

  /** Those that have an adapter loaded. */
  withAdapter(adapter: AdapterName): Candidates {
    const known = this.#byAdapter.get(adapter);
    if (known !== undefined) return known;
    const having = new Candidates(
      this.replicas.filter(({ adapters }) => adapters?.has(adapter)),
      this.#board,
    );
    // Clients can ask for any name: only those that are loaded are kept.
    if (having.replicas.length > 0) this.#byAdapter.set(adapter, having);
    return having;
  }

  /** Requests in flight on all of them; what other workers count may trail a few picks. */
  total(): number {
    if (this.#uses > 0) {
      this.#uses -= 1;
      return this.#total;
    }
    let total = 0;
    for (const { slot } of this.replicas) total += this.#board.glance(slot);
    this.#total = total;
    this.#uses = Math.floor((this.replicas.length - 1) / readsPerPick);
    return total;
  }

  /** The one that a group of keys prefers to all others, or to all that it likes less than `after`. */
  favourite(group: number, after?: ReplicaView): ReplicaView | undefined {
    if (after !== undefined) return this.replicas[heaviestOf(group, this.#indices, weightOf(group, after.index))];
    if (this.#indices.length < fewest) return this.replicas[heaviestOf(group, this.#indices)];
    this.#places ??= this.#indices.length < 0xff ? new Uint8Array(keyGroups) : new Uint16Array(keyGroups);
    const known = this.#places[group] ?? 0;
    if (known > 0) return this.replicas[known - 1];
    const place = heaviestOf(group, this.#indices);
    this.#places[group] = place + 1;
    return this.replicas[place];
  }
}

/** One worker's `Candidates`, by the model that they serve. */
export class CandidateLists {
  readonly #board: LoadBoard;
  /** By the model's own slot, which a pick has at hand: another look-up by name or list would cost as much as the pick itself with many models. */
  readonly #ofModels: (Candidates | undefined)[];

  constructor(board: LoadBoard) {
    this.#board = board;
    this.#ofModels = Array.from({ length: board.slots }, () => undefined);
  }

  /** Of a model's present replicas. */
  of({ waiting, replicas }: Pick<ModelEntry, 'waiting' | 'replicas'>): Candidates {
    const known = this.#ofModels[waiting];
    if (known?.replicas === replicas) return known;
    const candidates = new Candidates(replicas, this.#board);
    this.#ofModels[waiting] = candidates;
    return candidates;
  }

  /** Another table came, whose lists are others: nothing of the former ones is kept. */
  forget(): void {
    this.#ofModels.fill(undefined);
  }
}
