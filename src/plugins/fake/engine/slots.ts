/** The places of a batch: so many requests run, the others wait in order of arrival. */
export class Slots {
  readonly #limit: () => number;
  #running = 0;
  #queue: (() => void)[] = [];

  constructor(limit: () => number) {
    this.#limit = limit;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves to the function that gives the place back. @throws `signal.reason`, leaving the queue. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#running >= this.#limit() || this.#queue.length > 0) await this.#wait(signal);
    else this.#running += 1;
    return () => {
      this.#running -= 1;
      this.admit();
    };
  }

  /** Lets waiting requests in; to be called when the limit may have grown. */
  admit(): void {
    while (this.#running < this.#limit()) {
      const enter = this.#queue.shift();
      if (enter === undefined) return;
      this.#running += 1;
      enter();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#queue = this.#queue.filter((other) => other !== enter);
        reject(signal.reason as Error);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(enter);
    });
  }
}
