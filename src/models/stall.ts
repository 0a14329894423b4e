import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';

export interface StallWatch {
  /** Aborts, with an `ArtifactError` as its reason, once nothing was heard for the time. */
  readonly signal: AbortSignal;
  heard(): void;
  end(): void;
}

/** Watches one connection. One timer for all that is heard: to set one for each chunk would cost more than the chunk. */
export function stallWatch(clock: Clock, stallMs: number, what: string): StallWatch {
  const abort = new AbortController();
  let last = clock.now();
  let cancel = clock.after(stallMs, look);
  function look(): void {
    const leftMs = last + stallMs - clock.now();
    if (leftMs > 0) cancel = clock.after(leftMs, look);
    else abort.abort(new ArtifactError('stalled', `${what}: no byte came for ${stallMs / 1000} s.`));
  }
  return {
    signal: abort.signal,
    heard: () => {
      last = clock.now();
    },
    end: () => {
      cancel();
    },
  };
}
