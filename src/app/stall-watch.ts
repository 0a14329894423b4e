import type { Logger } from 'pino';
import type { Clock } from '../core/clock.ts';

const lookMs = 1_000;
/** A busy machine is late now and then; this is a thread that was held up, or a process that was stopped. */
const tellMs = 2_000;

/** Tells in the log when this thread did not run for seconds, until `signal` aborts: nothing it looks after was looked after then. */
export function watchStalls(clock: Clock, log: Pick<Logger, 'warn'>, signal: AbortSignal): void {
  const look = (due: number): (() => void) =>
    clock.after(Math.max(0, due - clock.now()), () => {
      const lateMs = clock.now() - due;
      if (lateMs >= tellMs) log.warn({ lateMs: Math.round(lateMs) }, `the control plane stood still for ${(lateMs / 1000).toFixed(1)} s`);
      if (!signal.aborted) cancel = look(clock.now() + lookMs);
    });
  let cancel = look(clock.now() + lookMs);
  signal.addEventListener('abort', () => cancel(), { once: true });
}
