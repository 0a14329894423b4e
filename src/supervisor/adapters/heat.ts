/** How much things were used of late: each use counts one, and half of that after each `halfLifeMs`. */
export class Heat<K> {
  readonly #halfLifeMs: number;
  readonly #most: number;
  readonly #scores = new Map<K, { readonly score: number; readonly at: number }>();

  /** @param most keys that are remembered; the coldest are forgotten. */
  constructor({ halfLifeMs, most }: { readonly halfLifeMs: number; readonly most: number }) {
    this.#halfLifeMs = halfLifeMs;
    this.#most = most;
  }

  of(key: K, now: number): number {
    const known = this.#scores.get(key);
    return known === undefined ? 0 : known.score * 2 ** ((known.at - now) / this.#halfLifeMs);
  }

  add(key: K, uses: number, now: number): void {
    if (uses === 0) return;
    this.#scores.set(key, { score: this.of(key, now) + uses, at: now });
    // Twice as many before any is forgotten: each key pays for its own place only.
    if (this.#scores.size > 2 * this.#most) this.#forgetColdest(now);
  }

  /** All that is remembered, the most used first. */
  hottest(now: number): readonly K[] {
    return [...this.#scores.keys()].sort((a, b) => this.of(b, now) - this.of(a, now));
  }

  #forgetColdest(now: number): void {
    for (const key of this.hottest(now).slice(this.#most)) this.#scores.delete(key);
  }
}
