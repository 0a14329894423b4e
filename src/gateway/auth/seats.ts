import { type Access, type AccessKey, type Budget, isLimited } from '../../core/access.ts';
import type { ModelName } from '../../core/ids.ts';
import { type RateBoard, rateSeats } from '../../core/rate-board.ts';

/** @param model of whose limits the seat is; undefined: of those of the key itself */
function identity({ name, prefix }: AccessKey, model?: ModelName): string {
  return [prefix ?? '', name, ...(model === undefined ? [] : [model])].join('\n');
}

/** The seats that a key needs. */
function identities(key: AccessKey): readonly string[] {
  const ofModels = [...(key.ofModels ?? [])].flatMap(([model, { limits }]) => (isLimited(limits) ? identity(key, model) : []));
  return isLimited(key.limits) ? [identity(key), ...ofModels] : ofModels;
}

/** Which row of the rate board the limits of each key have, and those of its models: the same over reloads, and over changes of the key itself. Kept by the control plane. */
export class Seats {
  readonly #board: RateBoard;
  readonly #taken = new Map<string, number>();
  /** Seats are given out in turn, so that one that was given back rests as long as can be: requests of its last key may still run. */
  #next = 0;

  constructor(board: RateBoard) {
    this.#board = board;
  }

  /** The same keys with their seats; keys that are gone give theirs back. */
  assign({ keys }: Access): Access {
    const wanted = new Set(keys.flatMap(identities));
    for (const name of this.#taken.keys()) if (!wanted.has(name)) this.#taken.delete(name);
    const used = new Set(this.#taken.values());
    for (const name of wanted) {
      if (this.#taken.has(name)) continue;
      while (used.has(this.#next)) this.#next = (this.#next + 1) % rateSeats;
      this.#board.clearSeat(this.#next);
      this.#taken.set(name, this.#next);
      used.add(this.#next);
    }
    return {
      keys: keys.map((key) => {
        const ofModels = [...(key.ofModels ?? [])].map(([model, budget]) => [model, this.#seated(budget, identity(key, model))] as const);
        return { ...this.#seated(key, identity(key)), ...(ofModels.length === 0 ? {} : { ofModels: new Map(ofModels) }) };
      }),
    };
  }

  #seated<T extends Budget>(budget: T, name: string): T {
    const seat = this.#taken.get(name);
    return seat === undefined ? budget : { ...budget, seat };
  }
}
