import type { Crew } from './crew.ts';
import type { EngineState } from './state.ts';

const stepMs = 50;

/** Counts the steps of the engine's loop, as real engines do: they go on in a prefill, before any token, and stop in a hang. */
export function countSteps({ slots, faults, journal }: Pick<EngineState, 'slots' | 'faults' | 'journal'>, crew: Crew): void {
  const step = (): void => {
    if (slots.running === 0) return;
    crew.step();
    if (!faults.hung) journal.steps += 1;
  };
  setInterval(step, stepMs).unref();
}
