import type { Access, AccessKey } from '../../core/access.ts';
import { type RateBoard, rateSeats } from '../../core/rate-board.ts';

function identity({ name, prefix }: AccessKey): string {
  return `${prefix ?? ''}\n${name}`;
}

/** Which row of the rate board each key with limits has: the same over reloads, and over changes of the key itself. Kept by the control plane. */
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
    const limited = keys.filter(({ limits }) => Object.values(limits).some((limit) => limit !== undefined));
    const wanted = new Set(limited.map(identity));
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
        const seat = this.#taken.get(identity(key));
        return seat === undefined ? key : { ...key, seat };
      }),
    };
  }
}
