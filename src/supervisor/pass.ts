/**
 * Runs `work` after it was asked for: at the end of the same turn, so that all that changes in it is one run; and, however often that
 * happens in one round of the event loop, once more at its end. A crowd of engines that die together is two runs, not one for each.
 */
export class Pass {
  readonly #work: () => void;
  #asked = false;
  /** It has run in this round of the event loop. */
  #ran = false;

  constructor(work: () => void) {
    this.#work = work;
  }

  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    if (!this.#ran) queueMicrotask(() => this.#run());
  }

  #run(): void {
    this.#asked = false;
    this.#ran = true;
    setImmediate(() => {
      this.#ran = false;
      if (this.#asked) this.#run();
    });
    this.#work();
  }
}
