import { once } from 'node:events';
import { messageOf } from '../core/errors.ts';
import { exitCode } from './exit-code.ts';

/** Whether colours may go to a stream: to a terminal, unless the person wants none (https://no-color.org: set and not empty). */
export function coloured(stream: Pick<NodeJS.WriteStream, 'isTTY'>, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTTY && !env['NO_COLOR'];
}

/**
 * Lets a program go on when nobody reads what it prints: `head` has seen enough, a terminal was closed, and engines must not die of that.
 * An answer that could not be written otherwise - a full disk - is a failure: it is told once, and is the exit code.
 */
export function surviveReaders(program: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exitCode'>): void {
  const { stdout, stderr } = program;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || program.exitCode === exitCode.failure) return;
    program.exitCode = exitCode.failure;
    stderr.write(`gateway: cannot write to stdout: ${messageOf(error)}\n`);
  });
  // There is nowhere left to tell it.
  stderr.on('error', () => undefined);
}

/** What a verb that goes on and on writes to. A reader who leaves, as `head` does, ends the verb; one who is slow holds it back. */
export class Output implements Disposable {
  readonly #stream: NodeJS.WritableStream;
  readonly #closed = new AbortController();
  readonly #onError = (error: unknown): void => this.#closed.abort(error);

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
    stream.on('error', this.#onError);
  }

  /** Aborts when nobody reads any more. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when the stream takes more. @throws what `closed` was aborted with */
  async write(text: string): Promise<void> {
    this.#closed.signal.throwIfAborted();
    if (!this.#stream.write(text)) await once(this.#stream, 'drain', { signal: this.#closed.signal });
  }

  [Symbol.dispose](): void {
    this.#stream.off('error', this.#onError);
  }
}
