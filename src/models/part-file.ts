import { close, fdatasync, ftruncate, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import type { ReadableFile } from './verify.ts';

const openFile = promisify(open);
const readFile = promisify(read);
const writeFile = promisify(write);
const truncateFile = promisify(ftruncate);
const syncFile = promisify(fdatasync);
const closeFile = promisify(close);

const settled = Promise.resolve();

/**
 * A file that is written in parts, by two writes at a time: the kernel lets one through, and the other begins when that one ends, however
 * busy our thread is; more of them would only spin. A bare descriptor, because a `FileHandle` and its promises make several times the
 * garbage, which counts for thousands of small files.
 */
export class PartFile implements ReadableFile {
  readonly descriptor: number;
  /** The last writes, the older one first; none of them fails. */
  readonly #last: Promise<void>[] = [settled, settled];

  /** @throws what the file system says */
  static async open(path: string, flags: number, mode: number): Promise<PartFile> {
    return new PartFile(await openFile(path, flags, mode));
  }

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async read(block: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    return await readFile(this.descriptor, block, offset, length, position);
  }

  /** @throws what the file system says */
  async write(bytes: Buffer, start: number): Promise<void> {
    const before = this.#last.shift() ?? settled;
    const writing = before.then(() => this.#write(bytes, start));
    this.#last.push(writing.catch(() => undefined));
    await writing;
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    // A full disk takes a part of it, and says why only when it is asked to take the rest.
    for (let at = 0; at < bytes.length;) at += (await writeFile(this.descriptor, bytes, at, bytes.length - at, start + at)).bytesWritten;
  }

  async truncate(sizeBytes: number): Promise<void> {
    await truncateFile(this.descriptor, sizeBytes);
  }

  async datasync(): Promise<void> {
    await syncFile(this.descriptor);
  }

  /** Once, and after everything else: the descriptor may be another file's from then on. */
  async close(): Promise<void> {
    await closeFile(this.descriptor);
  }
}
