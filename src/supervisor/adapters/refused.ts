import type { Clock } from '../../core/clock.ts';
import type { GatewayError } from '../../core/errors.ts';

/** How long a thing is refused without another try. */
const forMs = 10_000;
/** Things that are remembered; those beyond are tried each time. */
const most = 1024;

/** What was tried and failed, for a short while: those who ask again are answered at once. */
export class Refused<K> {
  readonly #clock: Clock;
  readonly #entries = new Map<K, { readonly error: GatewayError; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: K, error: GatewayError): void {
    const now = this.#clock.now();
    for (const [other, { until }] of this.#entries) if (until <= now) this.#entries.delete(other);
    if (this.#entries.size < most) this.#entries.set(key, { error, until: now + forMs });
  }

  get(key: K): GatewayError | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.until <= this.#clock.now() ? undefined : entry.error;
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }
}
