import type { Received } from './body-receiver.ts';
import type { HttpAsk } from './http.ts';

/** Where the bytes of a body go, without a buffer in between where the sender can put them there itself. */
export interface ByteSink {
  /** Where the next bytes belong; never empty. @throws where no more are wanted */
  space(): Uint8Array;
  /**
   * So many bytes were put at the beginning of the space. A promise holds the sender back until it is settled; bytes that the sender has already
   * may still be put. What is thrown, or the promise fails with, ends the request.
   */
  filled(bytes: number): Promise<void> | undefined;
  /**
   * Has the body of a reply put where it belongs by another thread; left out where there is none. It settles when that thread has ended, also
   * when the signal ends it.
   * @returns as `DirectHttp.receive()` @throws as it
   */
  elsewhere?(ask: HttpAsk, signal: AbortSignal): Promise<Received | undefined>;
}

/** Copies what came in a buffer of the sender's own. @throws as `space` and `filled` */
export function pour(sink: ByteSink, chunk: Uint8Array): Promise<void> | undefined {
  let hold: Promise<void> | undefined;
  for (let at = 0; at < chunk.length;) {
    const space = sink.space();
    const bytes = Math.min(space.length, chunk.length - at);
    space.set(chunk.subarray(at, at + bytes));
    at += bytes;
    hold = sink.filled(bytes) ?? hold;
  }
  return hold;
}
