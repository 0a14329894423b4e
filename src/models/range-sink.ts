import { writeSync } from 'node:fs';
import type { ByteSink } from './byte-sink.ts';
import type { Segment } from './partial.ts';
import type { RangeJob } from './range-receiver.ts';
import { crc32 } from './crc32.ts';
import { diskError, surplusError } from './sink-error.ts';

const [fewest, most] = [256 * 1024, 2 * 1024 * 1024];

/**
 * How much of a download of that size is told of at a time, and written into its journal. A crash makes as much of each connection to be
 * fetched again: a 512th of it all with eight of them, or 2 MB.
 */
export const segmentBytesOf = (sizeBytes: number): number => Math.min(most, Math.max(fewest, Math.ceil(sizeBytes / 4096)));

/** Between two messages of a job whose bytes come slowly. */
const heardMs = 250;

/** Is told of a range as it comes. */
export interface RangeWatch {
  /** So many came since it was told the last time. */
  heard(bytes: number): void;
  /** The same, and all up to the end of the segment, which grows out of the one before, is in the file. */
  written(segment: Segment, bytes: number): void;
}

/**
 * Writes a range into its file as it comes, while the bytes are still in the processor's cache. It waits for the disk, with all its thread:
 * for threads that need do nothing else.
 */
export class RangeSink implements ByteSink {
  readonly #job: RangeJob;
  readonly #buffer: Buffer;
  readonly #watch: RangeWatch;
  readonly #now: () => number;
  /** Of the next byte, in the file. */
  #at: number;
  #crc = 0;
  /** Before it all is told. */
  #told: number;
  #untoldBytes = 0;
  #toldMs: number;

  /** @param buffer may serve other ranges too: it holds nothing between two calls of `filled()`. @param now milliseconds of a clock that only goes on */
  constructor(job: RangeJob, buffer: Buffer, watch: RangeWatch, now: () => number) {
    this.#job = job;
    this.#buffer = buffer;
    this.#watch = watch;
    this.#now = now;
    this.#at = job.range.start;
    this.#told = this.#at;
    this.#toldMs = now();
  }

  /** @throws ArtifactError `changed` where all bytes of the range are there */
  space(): Uint8Array {
    const room = this.#job.range.end - this.#at;
    if (room === 0) throw surplusError(this.#job.object.key);
    return this.#buffer.subarray(0, room);
  }

  /** @throws what `diskError()` makes of what the file system says */
  filled(bytes: number): undefined {
    this.#untoldBytes += bytes;
    for (let from = 0; from < bytes;) from += this.#write(from, bytes);
    if (this.#at - this.#told >= this.#job.segmentBytes || this.#at === this.#job.range.end) this.tell();
    else if (this.#now() - this.#toldMs >= heardMs) this.#watch.heard(this.#untold());
  }

  /** @returns how many of them the file took: a full disk takes a part, and says why only when it is asked to take the rest */
  #write(from: number, to: number): number {
    const { descriptor, path } = this.#job;
    let taken: number;
    try {
      taken = writeSync(descriptor, this.#buffer, from, to - from, this.#at);
    } catch (thrown) {
      throw diskError(thrown, path);
    }
    this.#crc = crc32(this.#buffer.subarray(from, from + taken), this.#crc);
    this.#at += taken;
    return taken;
  }

  /** Tells what was not told yet. What came before a cut is not fetched again. */
  tell(): void {
    if (this.#at === this.#told) return;
    this.#told = this.#at;
    this.#watch.written({ start: this.#job.range.start, end: this.#at, crc32: this.#crc }, this.#untold());
  }

  #untold(): number {
    const bytes = this.#untoldBytes;
    this.#untoldBytes = 0;
    this.#toldMs = this.#now();
    return bytes;
  }
}
