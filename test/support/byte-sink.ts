import type { ByteSink } from '../../src/models/byte-sink.ts';

/** Fills a buffer, and has no place for more. */
export function sinkOf(buffer: Buffer): ByteSink {
  let at = 0;
  return {
    space: () => {
      if (at === buffer.length) throw new Error('no more is wanted');
      return buffer.subarray(at);
    },
    filled: (bytes) => {
      at += bytes;
      return undefined;
    },
  };
}
