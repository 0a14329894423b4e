import assert from 'node:assert/strict';

/** Asks again until it is so: for state in another process that sends no event. `ask` must do I/O, or this spins. */
export async function until(what: string, ask: () => Promise<boolean>, limitMs = 10_000): Promise<void> {
  const start = performance.now();
  while (!(await ask())) assert.ok(performance.now() - start < limitMs, `still not so after ${limitMs} ms: ${what}`);
}
