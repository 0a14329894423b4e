import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import { cutLog, isDiskFull, scarceBytes } from './log-cut.ts';
import { LineSplitter } from './line-splitter.ts';

/** Bounds in bytes; what is beyond them is skipped, never buffered. */
export interface TailLimits {
  /** Read at once. */
  readonly chunk: number;
  /** Further behind the end of the file than this, the reader jumps to the last `chunk` of it. */
  readonly behind: number;
  /** A file that grows larger is copied to `<file>.1`, where there is room for that, and emptied; any of 64 KB is on a full disk. */
  readonly file: number;
  /** A disk with less room than this is full. */
  readonly scarce: number;
}

export const defaultTailLimits: TailLimits = { chunk: 262_144, behind: 1_048_576, file: 67_108_864, scarce: scarceBytes };

/** Bytes of a log that nobody will see any more, or that nothing was looked for in. */
export interface LogLoss {
  /** Skipped by the reader, which was too far behind; the file has them. */
  readonly unread: number;
  /** Cut off the file without a copy: the disk had no room for one, or for anything. */
  readonly unkept: number;
}

const keptLines = 200;
const keptChars = 262_144;
/** Between two reads while the file grows: bounds the work of a flood to 5 MB/s. */
const pauseMs = 50;
/** What is read again of the log of an engine that a former gateway started. */
const recentBytes = 65_536;
/** Where the system gives no notice of changes. */
const pollMs = 1_000;

/**
 * Follows a log file that an engine writes to by itself: nothing here can slow the engine down or end it. The file must be written in
 * append mode, or emptying it would leave a hole.
 */
export class LogTail {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #clock: Clock;
  readonly #onLine: (line: string) => void;
  readonly #limits: TailLimits;
  readonly #splitter = new LineSplitter();
  readonly #lines: string[] = [];
  #chars = 0;
  #offset = 0;
  #loss: LogLoss = { unread: 0, unkept: 0 };
  /** False once the file could not be emptied: to try again at each line would only wear the disk. */
  #canEmpty = true;
  #reading: Promise<void> | undefined;
  /** Settles once nobody is in the middle of reading or cutting. */
  #turn: Promise<unknown> = Promise.resolve();
  #grown = false;
  #closed = false;
  #cancelPause: (() => void) | undefined;
  #cancelPoll: (() => void) | undefined;
  #watcher: FSWatcher | undefined;

  private constructor(file: string, handle: FileHandle, clock: Clock, onLine: (line: string) => void, limits: TailLimits) {
    this.#file = file;
    this.#handle = handle;
    this.#clock = clock;
    this.#onLine = onLine;
    this.#limits = limits;
  }

  /**
   * `file` must exist. Begins at its start; with `recent` at its last 64 KB, which have then been passed on before this resolves.
   */
  static async open(
    file: string,
    clock: Clock,
    onLine: (line: string) => void,
    limits: TailLimits = defaultTailLimits,
    from: 'start' | 'recent' = 'start',
  ): Promise<LogTail> {
    const tail = new LogTail(file, await open(file, 'r'), clock, onLine, limits);
    if (from === 'recent') await tail.#readRecent();
    tail.#watch();
    return tail;
  }

  async #readRecent(): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size > recentBytes) this.#jump(size - recentBytes);
    await this.#readChunk();
  }

  /** The last lines, oldest first: at most 200, and 256 K characters of them. */
  lines(): readonly string[] {
    return this.#lines;
  }

  get loss(): LogLoss {
    return this.#loss;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Cuts the log where the disk is full: somebody needs room now, and a log that found none any more does not grow, so that nothing would
   * look at it. Whether it has made some; never rejects.
   */
  makeRoom(): Promise<boolean> {
    return this.#alone(async () => {
      if (this.#closed) return false;
      try {
        const { size } = await this.#handle.stat();
        return await this.#relieve(size);
      } catch {
        // Who asked says that there is no room.
        return false;
      }
    });
  }

  /** One after another: what is read and what is cut hang on the same offset. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Reads what is left and lets go of the file. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher?.close();
    this.#cancelPoll?.();
    this.#cancelPause?.();
    await this.#reading;
    try {
      while (await this.#readChunk());
    } catch {
      // The log is gone or unreadable: what was read of it stands.
    }
    for (const line of this.#splitter.end()) this.#take(line);
    await this.#handle.close().catch(() => undefined);
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#file, () => this.#wake());
      this.#watcher.once('error', () => this.#poll());
    } catch {
      this.#poll();
    }
    this.#wake();
  }

  #poll(): void {
    if (this.#closed) return;
    this.#wake();
    this.#cancelPoll = this.#clock.after(pollMs, () => this.#poll());
  }

  #wake(): void {
    this.#grown = true;
    if (this.#closed || this.#reading !== undefined) return;
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined;
    });
  }

  async #read(): Promise<void> {
    try {
      while (this.#grown && !this.#closed) {
        this.#grown = false;
        if (await this.#readChunk()) this.#grown = true;
        await this.#pause();
      }
    } catch {
      // A log that cannot be read must not disturb an engine that serves.
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed || !this.#grown) {
        resolve();
        return;
      }
      const cancel = this.#clock.after(pauseMs, resolve);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Returns whether there is more. */
  #readChunk(): Promise<boolean> {
    return this.#alone(() => this.#readNext());
  }

  async #readNext(): Promise<boolean> {
    const { size } = await this.#handle.stat();
    if (size < this.#offset) this.#jump(0);
    if (size - this.#offset > this.#limits.behind) {
      const to = size - this.#limits.chunk;
      this.#loss = { ...this.#loss, unread: this.#loss.unread + to - this.#offset };
      this.#jump(to);
    }
    const buffer = Buffer.allocUnsafe(Math.min(this.#limits.chunk, Math.max(0, size - this.#offset)));
    if (buffer.length === 0) return false;
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#offset);
    this.#offset += bytesRead;
    for (const line of this.#splitter.push(buffer.subarray(0, bytesRead))) this.#take(line);
    if (this.#offset >= size && this.#canEmpty && !this.#closed) await this.#relieve(size);
    return this.#offset < size;
  }

  /**
   * A log that is too large is cut; on a full disk even a small one: its lines are still read here, and the engines need the room.
   * @returns whether it was.
   */
  async #relieve(size: number): Promise<boolean> {
    const full = size >= scarceBytes && (await isDiskFull(this.#file, this.#limits.scarce));
    if (!full && size <= this.#limits.file) return false;
    const cut = await cutLog(this.#file, !full);
    this.#canEmpty = cut !== 'uncut';
    if (cut === 'uncut') return false;
    if (this.#offset < size) this.#splitter.gap();
    this.#offset = 0;
    if (cut === 'unkept') this.#loss = { ...this.#loss, unkept: this.#loss.unkept + size };
    return true;
  }

  #jump(offset: number): void {
    this.#offset = offset;
    this.#splitter.gap();
  }

  #take(line: string): void {
    this.#lines.push(line);
    this.#chars += line.length;
    while (this.#lines.length > keptLines || this.#chars > keptChars) this.#chars -= this.#lines.shift()?.length ?? 0;
    this.#onLine(line);
  }
}
