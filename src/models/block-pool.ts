/** Written, and told to the journal, at once. Of larger ones the first bytes have left the processor's cache before the last have come. */
export const blockBytes = 256 * 1024;

/**
 * Blocks of memory that are filled and written again and again. What a socket gives is put into one at once: held until it is on the disk,
 * it would outlive V8's young generation, and a download would need hundreds of megabytes.
 */
export class BlockPool {
  readonly #free: Buffer[] = [];

  /** A block of `blockBytes`. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
  }

  /** Nobody reads or writes it any more. */
  give(block: Buffer): void {
    this.#free.push(block);
  }
}
