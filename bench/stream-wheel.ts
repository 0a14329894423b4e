export interface Stream {
  /** Time between two ticks, above 0. */
  readonly intervalMs: number;
  /** Sends the next chunk; false when it was the last. */
  tick(): boolean;
}

/**
 * Says which streams are due. Streams that begin together are spread evenly over their interval, as those of an engine's many clients
 * are: chunks arrive one by one, and no relay can save work by handling a hundred at once.
 */
export class StreamWheel {
  readonly #due = new Map<Stream, number>();
  #begun = 0;

  get size(): number {
    return this.#due.size;
  }

  add(stream: Stream, nowMs: number): void {
    // The golden ratio's multiples fill an interval evenly, however many there are.
    this.#begun += 1;
    const phase = (this.#begun * 0.618_033_988_749_895) % 1;
    this.#due.set(stream, nowMs + stream.intervalMs * phase);
  }

  remove(stream: Stream): void {
    this.#due.delete(stream);
  }

  /** Ticks every stream that is due at `nowMs`, each as often as it is. */
  turn(nowMs: number): void {
    for (const [stream, due] of this.#due) {
      let next = due;
      let more = true;
      while (more && next <= nowMs) {
        more = stream.tick();
        next += stream.intervalMs;
      }
      if (!more) this.#due.delete(stream);
      else if (next !== due) this.#due.set(stream, next);
    }
  }
}
