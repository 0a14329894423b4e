import type { Failure } from './failure.ts';

/** How often a model's replicas failed for one reason. */
export interface FailureCount extends Pick<Failure, 'code' | 'cause'> {
  readonly count: number;
}

/** Of the replicas that a model has had; only grows. There are as many as error codes and patterns of a plugin, whatever engines print. */
export class FailureCounts {
  readonly #counts = new Map<string, FailureCount>();

  add({ code, cause }: Failure): void {
    const key = `${code} ${cause ?? ''}`;
    const count = (this.#counts.get(key)?.count ?? 0) + 1;
    this.#counts.set(key, { code, count, ...(cause === undefined ? {} : { cause }) });
  }

  list(): readonly FailureCount[] {
    return [...this.#counts.values()];
  }
}
