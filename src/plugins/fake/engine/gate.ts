/** Lets callers through while open; holds them while closed. */
export class Gate {
  #closed = false;
  #held = new Set<() => void>();

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  open(): void {
    this.#closed = false;
    const held = this.#held;
    this.#held = new Set();
    for (const release of held) release();
  }

  /** @throws `signal.reason`, leaving nothing behind. */
  async pass(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#closed) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#held.add(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#held.delete(resolve);
    }
  }
}
