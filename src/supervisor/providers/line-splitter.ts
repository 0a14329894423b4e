import { stripVTControlCharacters } from 'node:util';

/** Longest line that is passed on; the rest of it is dropped. */
export const lineLimit = 65_536;

function clean(line: string): string {
  return stripVTControlCharacters(line).replaceAll(/[^\P{Cc}\t]/gu, '');
}

/**
 * Bytes of a log → lines, without terminal control sequences and control characters. A carriage return ends a line too: progress bars
 * use it. Invalid UTF-8 becomes U+FFFD.
 */
export class LineSplitter {
  #decoder = new TextDecoder();
  #rest = '';
  /** The start of the present line has been passed on, or was never seen: skip to its end. */
  #skipping = false;

  /** The lines that `bytes` completes; a line beyond the limit counts as complete at the limit. */
  push(bytes: Uint8Array): string[] {
    const parts = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/[\r\n]+/);
    this.#rest = parts.pop() ?? '';
    const lines: string[] = [];
    for (const part of parts) {
      if (!this.#skipping && part !== '') lines.push(clean(part.slice(0, lineLimit)));
      this.#skipping = false;
    }
    if (this.#skipping) this.#rest = '';
    else if (this.#rest.length > lineLimit) {
      lines.push(clean(this.#rest.slice(0, lineLimit)));
      this.#rest = '';
      this.#skipping = true;
    }
    return lines;
  }

  /** What follows is not the continuation of what came before. */
  gap(): void {
    this.#decoder = new TextDecoder();
    this.#rest = '';
    this.#skipping = true;
  }

  /** The last line, if nothing ended it. */
  end(): string[] {
    const rest = this.#rest;
    this.#rest = '';
    return this.#skipping || rest === '' ? [] : [clean(rest)];
  }
}
