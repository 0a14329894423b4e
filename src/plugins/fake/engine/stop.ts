import type { Server } from 'node:http';
import type { EngineState } from './state.ts';

interface Stopping {
  readonly state: EngineState;
  readonly server: Server;
  /** Aborted to end generations that outlast the grace. */
  readonly ending: AbortController;
  readonly graceMs: number;
  readonly say: (line: string) => void;
}

/**
 * SIGTERM and SIGINT: stop listening, finish the generations under way within the grace, end the workers, exit 0.
 * A second signal exits 1 at once. With `ignore_sigterm` both do nothing.
 */
export function stopOnSignals(stopping: Stopping): void {
  let asked = false;
  const onSignal = (): void => {
    if (stopping.state.faults.settings.ignore_sigterm) return stopping.say('ignoring the signal');
    if (asked) process.exit(1);
    asked = true;
    stop(stopping);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function stop({ state, server, ending, graceMs, say }: Stopping): void {
  const end = (): never => {
    state.endWorkers();
    say('stopped');
    process.exit(0);
  };
  server.close();
  if (state.open === 0) end();
  state.onIdle = end;
  say(`stopping, ${state.open} requests to finish`);
  setTimeout(() => {
    ending.abort(new Error('the grace is over'));
    // Replies that cannot end by themselves (a client that does not read) must not hold the engine.
    setImmediate(end);
  }, graceMs);
}
