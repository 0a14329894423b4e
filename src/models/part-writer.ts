import { blockBytes } from './block-pool.ts';
import type { BlockPool } from './block-pool.ts';
import type { ByteSink } from './byte-sink.ts';
import type { PartFile } from './part-file.ts';
import type { Segment } from './partial.ts';
import { crc32 } from './crc32.ts';
import { diskError, surplusError } from './sink-error.ts';
import type { ByteRange } from './source.ts';

export interface PartTarget {
  /** Of the object, for messages. */
  readonly name: string;
  readonly file: PartFile;
  /** Of the file, for messages. */
  readonly path: string;
  /** Where the bytes go; no more than these come. */
  readonly range: ByteRange;
  readonly pool: BlockPool;
  /** Sees each block before it is written; must not keep it. */
  readonly look: (block: Uint8Array) => void;
  /** It is in the file; it grows out of the one before. */
  readonly written: (segment: Segment) => void;
}

/**
 * Puts the bytes of one part where they belong in the file. While one block is written the next one fills; a sender that is faster than the
 * disk is held back, so that a part has never more than three blocks in memory.
 */
export class PartWriter implements ByteSink {
  readonly #target: PartTarget;
  /** Of the first byte of `#block`, in the file. */
  #at: number;
  /** Undefined until a byte comes for it: one that waits for an answer holds none. */
  #block: Buffer | undefined;
  #held = 0;
  /** Of all that is written. */
  #crc = 0;
  /** One block at a time, so that what is before a place is known. */
  #writing: Promise<void> | undefined;

  constructor(target: PartTarget) {
    this.#target = target;
    this.#at = target.range.start;
  }

  /** @throws ArtifactError `changed` where all bytes of the part are there */
  space(): Uint8Array {
    const room = this.#target.range.end - this.#at;
    if (room === 0) throw surplusError(this.#target.name);
    this.#block ??= this.#target.pool.take(room);
    return this.#block.subarray(this.#held, room);
  }

  /** @returns a promise where the disk is behind; it fails with what `diskError()` makes of what the disk says */
  filled(bytes: number): Promise<void> | undefined {
    this.#held += bytes;
    if (this.#held < Math.min(blockBytes, this.#target.range.end - this.#at)) return undefined;
    const before = this.#writing;
    this.#begin();
    return before;
  }

  /** Writes the rest. What came before a cut is not fetched again. No byte may come any more. @throws as the promise of `filled` */
  async end(): Promise<void> {
    try {
      if (this.#held > 0) this.#begin();
      await this.#writing;
    } finally {
      if (this.#block !== undefined) this.#target.pool.give(this.#block);
    }
  }

  #begin(): void {
    const block = this.#block;
    if (block === undefined) return;
    const filled = block.subarray(0, this.#held);
    const at = this.#at;
    const before = this.#writing;
    const writing = (before === undefined ? this.#write(filled, at) : before.then(() => this.#write(filled, at))).finally(() => {
      this.#target.pool.give(block);
      if (this.#writing === writing) this.#writing = undefined;
    });
    // Seen by the next block but one, or by the end; until then nobody else looks.
    writing.catch(() => undefined);
    this.#writing = writing;
    this.#at += this.#held;
    this.#held = 0;
    this.#block = undefined;
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    const { file, path, range, look, written } = this.#target;
    const end = start + bytes.length;
    const crc = crc32(bytes, this.#crc);
    look(bytes);
    try {
      await file.write(bytes, start);
    } catch (thrown) {
      throw diskError(thrown, path);
    }
    this.#crc = crc;
    written({ start: range.start, end, crc32: crc });
  }
}
