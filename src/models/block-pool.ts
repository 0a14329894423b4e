/** Written, and told to the journal, at once. Of larger ones the first bytes have left the processor's cache before the last have come. */
export const blockBytes = 256 * 1024;

/** For small files, of which dozens come at a time. */
const smallBytes = 16 * 1024;

/**
 * Blocks of memory that are filled and written again and again. What a socket gives is put into one at once: held until it is on the disk,
 * it would outlive V8's young generation, and a download would need hundreds of megabytes.
 */
export class BlockPool {
  readonly #large: Buffer[] = [];
  readonly #small: Buffer[] = [];

  /** A block for so many bytes: it holds them all, or it is one of `blockBytes`. */
  take(bytes: number): Buffer {
    return bytes > smallBytes
      ? (this.#large.pop() ?? Buffer.allocUnsafeSlow(blockBytes))
      : (this.#small.pop() ?? Buffer.allocUnsafeSlow(smallBytes));
  }

  /** Nobody reads or writes it any more. */
  give(block: Buffer): void {
    (block.length === blockBytes ? this.#large : this.#small).push(block);
  }
}
