/** Written, and told to the journal, at once. */
export const blockBytes = 512 * 1024;

/**
 * Blocks of memory that are filled and written again and again. What a socket gives is copied into one at once: held until it is on the disk,
 * it would outlive V8's young generation, and a download would need hundreds of megabytes.
 */
export class BlockPool {
  readonly #free: Buffer[] = [];

  /** A block of `blockBytes`, or of `most` bytes where that is less. */
  take(most: number): Buffer {
    if (most < blockBytes) return Buffer.allocUnsafe(most);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
  }

  /** Nobody reads or writes it any more. */
  give(block: Buffer): void {
    if (block.length === blockBytes) this.#free.push(block);
  }
}
