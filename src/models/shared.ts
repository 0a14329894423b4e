interface Flight<Progress, Result> {
  readonly done: Promise<Result>;
  readonly abort: AbortController;
  readonly listeners: Set<(progress: Progress) => void>;
  last: Progress | undefined;
}

/** Work that is done once for all who want it at a time. It ends early only when none of them is left. */
export class Shared<Progress, Result> {
  readonly #flights = new Map<string, Flight<Progress, Result>>();

  /** @throws what the work throws; the reason of `signal`, which lets only this caller go. */
  async run(
    key: string,
    work: (signal: AbortSignal, onProgress: (progress: Progress) => void) => Promise<Result>,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Result> {
    signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#begin(key, work);
    flight.listeners.add(onProgress);
    if (flight.last !== undefined) onProgress(flight.last);
    const left = Promise.withResolvers<never>();
    const leave = (): void => {
      left.reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([flight.done, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      flight.listeners.delete(onProgress);
      if (flight.listeners.size === 0) {
        // Those who come from now on begin anew.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort(new Error('nobody wants it any more'));
      }
    }
  }

  #begin(key: string, work: (signal: AbortSignal, onProgress: (progress: Progress) => void) => Promise<Result>): Flight<Progress, Result> {
    const abort = new AbortController();
    const listeners = new Set<(progress: Progress) => void>();
    const { promise: done, resolve, reject } = Promise.withResolvers<Result>();
    // Where all have left, nobody waits for how it ends.
    done.catch(() => undefined);
    const flight: Flight<Progress, Result> = { done, abort, listeners, last: undefined };
    this.#flights.set(key, flight);
    const tell = (progress: Progress): void => {
      flight.last = progress;
      for (const listener of listeners) listener(progress);
    };
    const over = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    work(abort.signal, tell).finally(over).then(resolve, reject);
    return flight;
  }
}
