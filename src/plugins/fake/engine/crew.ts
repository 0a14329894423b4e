import type { ChildProcess } from 'node:child_process';
import type { Faults } from './faults.ts';

/** The engine's workers, all of which take part in each of its steps: it stands still while one of them does not answer. */
export class Crew {
  readonly #workers: readonly ChildProcess[];
  readonly #faults: Pick<Faults, 'stall'>;
  /** Answers to the last step that have not come yet. */
  #owed = 0;

  constructor(workers: readonly ChildProcess[], faults: Pick<Faults, 'stall'>) {
    this.#workers = workers;
    this.#faults = faults;
    for (const worker of workers) worker.on('message', () => this.#answered());
  }

  /** Begins a step with all workers, unless the one before is not over. */
  step(): void {
    if (this.#owed > 0) {
      this.#faults.stall(true);
      return;
    }
    const there = this.#workers.filter(({ connected }) => connected);
    this.#owed = there.length;
    // One that dies owes its answer for ever; its exit is what is told.
    for (const worker of there) worker.send('step', () => undefined);
  }

  #answered(): void {
    this.#owed -= 1;
    if (this.#owed === 0) this.#faults.stall(false);
  }
}
