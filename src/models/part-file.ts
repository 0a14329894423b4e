import type { FileHandle } from 'node:fs/promises';

/**
 * A file that is written in parts, by one write at a time: of several at once the kernel lets one through, and the others spin until it is
 * done.
 */
export class PartFile {
  readonly handle: FileHandle;
  #last: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  /** @throws what the file system says */
  async write(bytes: Buffer, start: number): Promise<void> {
    const writing = this.#last.then(() => this.#write(bytes, start));
    this.#last = writing.catch(() => undefined);
    await writing;
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    // A full disk takes a part of it, and says why only when it is asked to take the rest.
    for (let at = 0; at < bytes.length;) at += (await this.handle.write(bytes, at, bytes.length - at, start + at)).bytesWritten;
  }
}
