import type { Part } from './plan-fetch.ts';

/** More than one, because the writes into one file wait for each other; few, so that files are whole, and verified, long before the end. */
const objectsAtOnce = 4;

/** Parts that are still to be fetched: those of the next few objects in turns. */
export class PartQueue {
  /** By object; none is empty. What is last is next. */
  readonly #objects: Part[][] = [];
  #turn = -1;

  /** Before all that are there. Those of one object come one after the other. */
  add(part: Part): void {
    const last = this.#objects.at(-1);
    if (last?.[0]?.object === part.object) last.push(part);
    else this.#objects.push([part]);
  }

  /** @returns undefined where none is left */
  next(): Part | undefined {
    const among = Math.min(objectsAtOnce, this.#objects.length);
    if (among === 0) return undefined;
    this.#turn = (this.#turn + 1) % among;
    const at = this.#objects.length - 1 - this.#turn;
    const parts = this.#objects[at];
    const part = parts?.pop();
    if (parts?.length === 0) this.#objects.splice(at, 1);
    return part;
  }
}
