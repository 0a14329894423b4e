/** Retries one worker may have under way whatever its load. */
const least = 3;
/** … and the share of its requests beyond that. */
const share = 0.2;

/**
 * Bounds how much work retries add when replicas fail in numbers: a request counts from its first retry until it ends.
 * Without a bound, the replicas that still work would be given, on top of their own, all that the others failed.
 */
export class RetryBudget {
  #active = 0;

  /** False when there are too many already. `live`: the worker's requests that have not ended. */
  take(live: number): boolean {
    if (this.#active >= Math.max(least, live * share)) return false;
    this.#active += 1;
    return true;
  }

  giveBack(): void {
    this.#active -= 1;
  }
}
