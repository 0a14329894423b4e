import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from './clock.ts';

/** How late a thread's event loop was; over the threads of a plane, the worst. */
export const lagMetric = {
  name: 'roundhouse_event_loop_lag_seconds',
  help: 'How late an event loop did its work in the last 15 s, or since the scrape before: control (the one that looks after engines) or data (the worst of those that serve requests). quantile 1 is the longest that it stood still.',
  labelNames: ['plane', 'quantile'],
  aggregator: 'max',
} as const;

/** By quantile, in seconds. */
export type Lag = Readonly<Record<'0.5' | '0.99' | '1', number>>;

const resolutionMs = 10;
/** Scrapers that come at different times each see what was in it. */
const windowMs = 15_000;
const none: Lag = { '0.5': 0, '0.99': 0, '1': 0 };

/** Watches the event loop of the thread it is made in; it does not keep that alive. */
export class EventLoopLag {
  readonly #clock: Clock;
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });
  #since: number;
  #before = none;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
    this.#delays.enable();
  }

  /** Since it was last read at least 15 s ago; nothing is forgotten that nobody has read. */
  read(): Lag {
    const lag = this.#current();
    const now = this.#clock.now();
    if (now - this.#since < windowMs) return worst(this.#before, lag);
    this.#before = lag;
    this.#since = now;
    this.#delays.reset();
    return lag;
  }

  #current(): Lag {
    if (this.#delays.count === 0) return none;
    return { '0.5': late(this.#delays.percentile(50)), '0.99': late(this.#delays.percentile(99)), '1': late(this.#delays.max) };
  }
}

/** What is recorded is the time from one tick to the next, in nanoseconds. */
function late(ns: number): number {
  return Math.max(0, ns / 1e9 - resolutionMs / 1000);
}

function worst(one: Lag, other: Lag): Lag {
  return { '0.5': Math.max(one['0.5'], other['0.5']), '0.99': Math.max(one['0.99'], other['0.99']), '1': Math.max(one['1'], other['1']) };
}
