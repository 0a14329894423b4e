import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';

export interface StallWatch {
  /** Aborts with the one that was given, or with an `ArtifactError` as its reason once nothing was heard for the time. */
  readonly signal: AbortSignal;
  heard(): void;
  end(): void;
}

/**
 * Watches one connection. One timer for all that is heard: to set one for each chunk would cost more than the chunk.
 * Not by `AbortSignal.any`: a signal that lives long keeps a weak reference to each that is made of it, one for each small file.
 */
export function stallWatch(clock: Clock, stallMs: number, what: string, signal: AbortSignal): StallWatch {
  const abort = new AbortController();
  const leave = (): void => {
    abort.abort(signal.reason);
  };
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
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
      signal.removeEventListener('abort', leave);
    },
  };
}
