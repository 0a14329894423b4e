import type { Clock } from '../core/clock.ts';

const lookMs = 1_000;
/** Requests in flight from which on the memory that they leave counts for more than the time it takes to collect it. */
const many = 1_000;
/** For how long there must be fewer before time counts for more again: what they left is old by then, and collected. */
const calmMs = 60_000;

/** What counts for more now. `since`: the last moment at which there were many. */
export type Favoured = { readonly kind: 'time' } | { readonly kind: 'memory'; readonly since: number };

/** What counts for more once `inFlight` requests were seen at `now`. */
export function favoured(before: Favoured, inFlight: number, now: number): Favoured {
  if (inFlight >= many) return { kind: 'memory', since: now };
  return before.kind === 'memory' && now - before.since < calmMs ? before : { kind: 'time' };
}

export interface MemoryWatch {
  readonly clock: Clock;
  /** Requests of all workers. */
  readonly inFlight: () => number;
  /** Called when it changes; time is favoured at first. */
  readonly favour: (kind: Favoured['kind']) => void;
}

/** Looks each second, until `signal` aborts, whether memory or time counts for more. */
export function watchMemory({ clock, inFlight, favour }: MemoryWatch, signal: AbortSignal): void {
  let now: Favoured = { kind: 'time' };
  const look = (): (() => void) =>
    clock.after(lookMs, () => {
      const next = favoured(now, inFlight(), clock.now());
      if (next.kind !== now.kind) favour(next.kind);
      now = next;
      cancel = look();
    });
  let cancel = look();
  signal.addEventListener('abort', () => cancel(), { once: true });
}
