import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { ArtifactError } from './artifact-error.ts';
import type { BlockPool } from './block-pool.ts';
import type { PartialDownload } from './partial.ts';
import type { ByteRange } from './source.ts';

export interface PartTarget {
  readonly file: FileHandle;
  readonly partial: PartialDownload;
  /** Index of the object in its plan. */
  readonly object: number;
  /** Where the bytes go; no more than these come. */
  readonly range: ByteRange;
  readonly pool: BlockPool;
  /** All bytes before `to` are in the file, and in the journal. */
  readonly reached: (to: number) => void;
}

/**
 * Puts the bytes of one part where they belong in the file, as they come. While one block is written the next one fills; a sender that is
 * faster than the disk is held back, so that a part has never more than two blocks in memory, and what came meanwhile.
 */
export class PartWriter {
  readonly #target: PartTarget;
  /** Of the first byte of `#block`, in the file. */
  #at: number;
  #block: Buffer;
  #held = 0;
  #writing: Promise<void> | undefined;

  constructor(target: PartTarget) {
    this.#target = target;
    this.#at = target.range.start;
    this.#block = this.#newBlock();
  }

  /** @returns a promise where the disk is behind; it fails with what the disk says (ArtifactError `no-space`, `unsafe`) */
  take(chunk: Uint8Array): Promise<void> | undefined {
    const fits = Math.min(chunk.length, this.#block.length - this.#held);
    this.#block.set(fits === chunk.length ? chunk : chunk.subarray(0, fits), this.#held);
    this.#held += fits;
    if (this.#held < this.#block.length) return undefined;
    const rest = chunk.subarray(fits);
    if (this.#writing !== undefined) return this.#later(rest);
    this.#begin();
    return rest.length === 0 ? undefined : this.take(rest);
  }

  /** Writes the rest. What came before a cut is not fetched again. No byte may come any more. @throws as the promise of `take` */
  async end(): Promise<void> {
    try {
      await this.#writing;
      if (this.#held > 0) this.#begin();
      await this.#writing;
    } finally {
      this.#target.pool.give(this.#block);
    }
  }

  async #later(rest: Uint8Array): Promise<void> {
    await this.#writing;
    this.#begin();
    if (rest.length > 0) await this.take(rest);
  }

  #newBlock(): Buffer {
    return this.#target.pool.take(this.#target.range.end - this.#at);
  }

  #begin(): void {
    const block = this.#block;
    const length = this.#held;
    const writing = this.#write(block.subarray(0, length), this.#at).finally(() => {
      this.#target.pool.give(block);
      if (this.#writing === writing) this.#writing = undefined;
    });
    // Seen by the next block, or by the end; until then nobody else looks.
    writing.catch(() => undefined);
    this.#writing = writing;
    this.#at += length;
    this.#held = 0;
    this.#block = this.#newBlock();
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    const { file, partial, object, reached } = this.#target;
    const end = start + bytes.length;
    const crc = crc32(bytes);
    try {
      // A full disk takes a part of it, and says why only when it is asked to take the rest.
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at, start + at)).bytesWritten;
    } catch (thrown) {
      throw diskError(thrown, partial.file(object));
    }
    partial.record(object, { start, end, crc32: crc });
    reached(end);
  }
}

/** What the file system says, with what to do about it. */
export function diskError(thrown: unknown, file: string): unknown {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new ArtifactError(
      'no-space',
      `The disk is full (${code}) while writing ${file}. Make room, or give gateway.cache.dir another disk.`,
      thrown,
    );
  if (code === 'ELOOP') return new ArtifactError('unsafe', `${file} is a symlink, which the gateway did not make. Take it away.`, thrown);
  return thrown;
}
