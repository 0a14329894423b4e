import type { AdapterMetrics } from './replica-adapters.ts';

/** What became of a model's adapters since the gateway started. */
export interface AdapterTotals {
  readonly loads: { readonly ok: number; readonly failed: number };
  /** Seconds that all loads took together. */
  readonly loadSeconds: number;
  readonly evictions: number;
  /** Waits that began because all adapters on all replicas were in use. */
  readonly crowdedWaits: number;
}

export class AdapterCounts implements AdapterMetrics {
  #ok = 0;
  #failed = 0;
  #loadSeconds = 0;
  #evictions = 0;
  #crowdedWaits = 0;

  loaded(result: 'ok' | 'failed', seconds: number): void {
    if (result === 'ok') this.#ok += 1;
    else this.#failed += 1;
    this.#loadSeconds += seconds;
  }

  evicted(): void {
    this.#evictions += 1;
  }

  crowded(): void {
    this.#crowdedWaits += 1;
  }

  report(): AdapterTotals {
    return {
      loads: { ok: this.#ok, failed: this.#failed },
      loadSeconds: this.#loadSeconds,
      evictions: this.#evictions,
      crowdedWaits: this.#crowdedWaits,
    };
  }
}
