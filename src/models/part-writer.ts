import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { ArtifactError } from './artifact-error.ts';
import type { PartialDownload } from './partial.ts';

/** Written, and told to the journal, at once. */
const blockBytes = 512 * 1024;

export interface PartTarget {
  readonly file: FileHandle;
  readonly partial: PartialDownload;
  /** Index of the object in its plan. */
  readonly object: number;
  /** Where the first byte goes. */
  readonly start: number;
  /** All bytes before `to` are in the file, and in the journal. */
  readonly reached: (to: number) => void;
}

/**
 * Puts the bytes of one part where they belong in the file, as they come. While one block is written the next one fills; a sender that is
 * faster than the disk is held back, so that a part has never more than two blocks in memory.
 */
export class PartWriter {
  readonly #target: PartTarget;
  /** Of the first byte that is not yet given to the file. */
  #at: number;
  #blocks: Uint8Array[] = [];
  #held = 0;
  #writing: Promise<void> | undefined;

  constructor(target: PartTarget) {
    this.#target = target;
    this.#at = target.start;
  }

  /** @returns a promise where the disk is behind; it fails with what the disk says (ArtifactError `no-space`, `unsafe`) */
  take(chunk: Uint8Array): Promise<void> | undefined {
    this.#blocks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < blockBytes) return undefined;
    if (this.#writing !== undefined) return this.#next();
    this.#begin();
    return undefined;
  }

  /** Writes the rest. What came before a cut is not fetched again. @throws as the promise of `take` */
  async end(): Promise<void> {
    await this.#writing;
    if (this.#held === 0) return;
    this.#begin();
    await this.#writing;
  }

  async #next(): Promise<void> {
    await this.#writing;
    this.#begin();
  }

  #begin(): void {
    const blocks = this.#blocks;
    const start = this.#at;
    this.#at += this.#held;
    this.#blocks = [];
    this.#held = 0;
    const writing = this.#write(blocks, start);
    this.#writing = writing.finally(() => {
      if (this.#writing === kept) this.#writing = undefined;
    });
    const kept = this.#writing;
    // Seen by the next block, or by the end; until then nobody else looks.
    kept.catch(() => undefined);
  }

  async #write(blocks: readonly Uint8Array[], start: number): Promise<void> {
    const { file, partial, object, reached } = this.#target;
    let end = start;
    let crc = 0;
    for (const block of blocks) {
      crc = crc32(block, crc);
      end += block.length;
    }
    try {
      await writeAll(file, blocks, start);
    } catch (thrown) {
      throw diskError(thrown, partial.file(object));
    }
    partial.record(object, { start, end, crc32: crc });
    reached(end);
  }
}

async function writeAll(file: FileHandle, blocks: readonly Uint8Array[], start: number): Promise<void> {
  const total = blocks.reduce((sum, { length }) => sum + length, 0);
  const { bytesWritten } = await file.writev(blocks, start);
  if (bytesWritten === total) return;
  // A full disk takes a part of it, and says why only when it is asked to take the rest.
  const rest = Buffer.concat(blocks).subarray(bytesWritten);
  for (let at = 0; at < rest.length;) at += (await file.write(rest, at, rest.length - at, start + bytesWritten + at)).bytesWritten;
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
