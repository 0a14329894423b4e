import type { Clock } from '../core/clock.ts';

/** How long a hurried stop waits for processes that even SIGKILL has not ended yet. */
const hurriedStopMs = 5_000;

/**
 * Resolves with `stopped`; once `hurry` is aborted, `kill` is called, and it resolves after 5 s more at the latest.
 */
export async function stoppedOrHurried(clock: Clock, stopped: Promise<unknown>, hurry: AbortSignal, kill: () => void): Promise<void> {
  const over = new AbortController();
  const hurried = new Promise<void>((resolve) => {
    const now = (): void => {
      kill();
      const cancel = clock.after(hurriedStopMs, resolve);
      over.signal.addEventListener('abort', cancel, { once: true });
    };
    if (hurry.aborted) now();
    else hurry.addEventListener('abort', now, { once: true, signal: over.signal });
  });
  await Promise.race([stopped, hurried]);
  over.abort();
}
