/** From `at` on the value is `value`, until the next point. Times of one series grow; their unit is the caller's. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

export type Aggregation = 'mean' | 'max' | 'min';

/** The time-weighted mean of a step series from its first point to `until`; undefined where it has no point or no length. */
function mean(points: readonly Point[], until: number): number | undefined {
  const [first] = points;
  if (first === undefined || until <= first.at) return undefined;
  let sum = 0;
  for (const [index, { at, value }] of points.entries()) {
    const end = Math.min(points[index + 1]?.at ?? until, until);
    if (end > at) sum += value * (end - at);
  }
  return sum / (until - first.at);
}

/** Undefined for a series without a point. @param until where the last value's time ends */
export function aggregate(points: readonly Point[], how: Aggregation, until: number): number | undefined {
  if (points.length === 0) return undefined;
  switch (how) {
    case 'mean':
      return mean(points, until);
    case 'max':
      return points.reduce((most, { value }) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    case 'min':
      return points.reduce((least, { value }) => Math.min(least, value), Number.POSITIVE_INFINITY);
  }
}

/**
 * The last `lengthMs` of a number that is looked at again and again. Times are milliseconds and never go back. What it was before the
 * window began still counts from there on, so that a value that has not changed for long is not forgotten.
 */
export class LoadWindow {
  readonly #lengthMs: number;
  #points: Point[] = [];
  /** ∫ value dt from the first point to the last one. */
  #area = 0;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  /** Notes what the number is at `at`. */
  add(at: number, value: number): void {
    const last = this.#points.at(-1);
    if (last === undefined) this.#points.push({ at, value });
    else if (last.value !== value) {
      this.#area += last.value * (at - last.at);
      if (last.at === at) this.#points.pop();
      // Never two points of one value: what is left may equal the one before it.
      if (this.#points.at(-1)?.value !== value) this.#points.push({ at, value });
      else this.#area = this.#integral();
    }
    this.#forget(at - this.#lengthMs);
  }

  #integral(): number {
    return this.#points.reduce((sum, { at, value }, index) => sum + value * ((this.#points[index + 1]?.at ?? at) - at), 0);
  }

  #forget(start: number): void {
    let gone = 0;
    for (let next = this.#points[1]; next !== undefined && next.at <= start; next = this.#points[gone + 1]) {
      const first = this.#points[gone];
      if (first !== undefined) this.#area -= first.value * (next.at - first.at);
      gone += 1;
    }
    if (gone > 0) this.#points = this.#points.slice(gone);
    const [first, second] = this.#points;
    if (first === undefined || first.at >= start) return;
    if (second !== undefined) this.#area -= first.value * (start - first.at);
    this.#points[0] = { at: start, value: first.value };
    // Sums of many differences drift; one value that is left has no area at all.
    if (second === undefined) this.#area = 0;
  }

  /** The aggregate up to `now`; the present value where the window has no length yet, 0 where nothing was ever added. */
  read(how: Aggregation, now: number): number {
    const [first] = this.#points;
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined) return 0;
    if (how !== 'mean') return aggregate(this.#points, how, now) ?? 0;
    return now <= first.at ? last.value : (this.#area + last.value * (now - last.at)) / (now - first.at);
  }

  /** Its points, oldest first. */
  points(): readonly Point[] {
    return this.#points;
  }
}
