/** Something that ends at a time. */
export interface Ending {
  readonly at: number;
}

/** A heap of what ends when. */
export class Completions<T extends Ending> {
  readonly #all: T[] = [];

  /** Infinity when nothing is left. */
  get next(): number {
    return this.#all[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(ending: T): void {
    const all = this.#all;
    all.push(ending);
    for (let at = all.length - 1; at > 0;) {
      const up = (at - 1) >> 1;
      if (!this.#swapIfLess(at, up)) return;
      at = up;
    }
  }

  pop(): T | undefined {
    const all = this.#all;
    const [first] = all;
    const last = all.pop();
    if (first === undefined || last === undefined || all.length === 0) return first;
    all[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const least = (all[left + 1]?.at ?? Number.POSITIVE_INFINITY) < (all[left]?.at ?? Number.POSITIVE_INFINITY) ? left + 1 : left;
      if (!this.#swapIfLess(least, at)) return first;
      at = least;
    }
  }

  #swapIfLess(low: number, high: number): boolean {
    const a = this.#all[low];
    const b = this.#all[high];
    if (a === undefined || b === undefined || a.at >= b.at) return false;
    this.#all[low] = b;
    this.#all[high] = a;
    return true;
  }
}
