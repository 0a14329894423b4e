import { availableParallelism } from 'node:os';
import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';
import { backoffMs } from './backoff.ts';
import { BlockPool } from './block-pool.ts';
import { bootId } from './boot-id.ts';
import type { ByteSink } from './byte-sink.ts';
import type { PartialDownload } from './partial.ts';
import { wholeCrc32 } from './partial.ts';
import type { PartFile } from './part-file.ts';
import { RangeReceivers } from './range-receivers.ts';
import { segmentBytesOf } from './range-sink.ts';
import type { RangeWatch } from './range-sink.ts';
import { PartQueue } from './part-queue.ts';
import { PartWriter } from './part-writer.ts';
import { planParts } from './plan-fetch.ts';
import type { Part } from './plan-fetch.ts';
import { diskError } from './sink-error.ts';
import type { ByteRange, Digests, RemoteObject, Source } from './source.ts';
import { stallWatch } from './stall.ts';
import { digestsOf, fileCrc32 } from './verify.ts';
import { objectProblem } from './verify-object.ts';

export interface FetchLimits {
  /** Requests at a time, for objects of any size. */
  readonly parallel: number;
  /** More requests at a time, for small objects alone: of these it is not the bytes that take the time. */
  readonly parallelSmall: number;
  /** Largest range that one request asks for. */
  readonly partBytes: number;
  /** Without a byte, after which a connection is given up. */
  readonly stallMs: number;
  /** Failures of one part in a row, without a byte in between. */
  readonly failures: number;
  /** Threads that receive parts of large objects, at least 1. */
  readonly receivers: number;
  /** One of them is the one that this runs in: for a process that does nothing else. */
  readonly receivesHere: boolean;
  /** Of all objects together, from which on there are such threads. */
  readonly receiversFromBytes: number;
}

export const defaultFetchLimits: FetchLimits = {
  parallel: 8,
  parallelSmall: 24,
  partBytes: 16 * 1024 * 1024,
  stallMs: 60_000,
  failures: 8,
  receivers: Math.min(4, Math.max(2, Math.floor(availableParallelism() / 4))),
  receivesHere: false,
  receiversFromBytes: 16 * 1024 * 1024,
};

export interface FetchDeps {
  readonly source: Source;
  readonly partial: PartialDownload;
  readonly objects: readonly RemoteObject[];
  readonly limits: FetchLimits;
  readonly clock: Clock;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  /** Bytes that came; below 0 where some were thrown away. */
  readonly onBytes: (bytes: number) => void;
}

/** A file that is there, whole and verified. */
export interface FetchedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly crc32: number;
}

const smallBytes = 1024 * 1024;

/** Fetches what a partial download lacks, in bounded parallel parts, and verifies each file. */
export class Fetch {
  readonly #deps: FetchDeps;
  readonly #queue = new PartQueue();
  /** The next one is the last. */
  readonly #smallQueue: Part[] = [];
  readonly #open = new Map<number, Promise<PartFile>>();
  /** Parts of each object that are not there yet. */
  readonly #missing: Uint32Array;
  /** Of objects that came in one block, until they are verified. */
  readonly #digests = new Map<number, Digests>();
  readonly #repeated = new Set<number>();
  readonly #pool = new BlockPool();
  /** Of the parts of large objects; undefined: of few bytes, which the thread that this runs in receives with less work. */
  readonly #receivers: RangeReceivers | undefined;
  readonly #segmentBytes: number;
  readonly #fetched: FetchedFile[] = [];
  /** Of the first failure; ends everything. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(deps: FetchDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = AbortSignal.any([signal, this.#failed.signal]);
    const { objects, partial, limits } = deps;
    this.#missing = new Uint32Array(objects.length);
    const sizeBytes = objects.reduce((sum, object) => sum + object.sizeBytes, 0);
    this.#segmentBytes = segmentBytesOf(sizeBytes);
    this.#receivers = sizeBytes < limits.receiversFromBytes ? undefined : new RangeReceivers(limits.receivers, limits.receivesHere);
    this.#enqueue(planParts(objects, partial.done, limits.partBytes));
  }

  /** @throws ArtifactError; what is whole until then stays for the next try. */
  async run(): Promise<readonly FetchedFile[]> {
    const { objects, limits } = this.#deps;
    const whole = objects.flatMap((_, object) => (this.#missing[object] === 0 ? [object] : []));
    const lanes = [
      ...Array.from({ length: limits.parallel }, async () => {
        await this.#lane(whole, () => this.#queue.next() ?? this.#smallQueue.pop());
      }),
      ...Array.from({ length: limits.parallelSmall }, async () => {
        await this.#lane([], () => this.#smallQueue.pop());
      }),
    ];
    try {
      await Promise.all(lanes);
    } catch (thrown) {
      this.#failed.abort(thrown);
      await Promise.allSettled(lanes);
      throw thrown;
    } finally {
      await this.#receivers?.close();
      for (const opened of this.#open.values()) await opened.then(async (file) => await file.close(), ignoreFailedOpen);
    }
    return this.#fetched.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #isSmall({ sizeBytes }: RemoteObject): boolean {
    return sizeBytes <= Math.min(this.#deps.limits.partBytes, smallBytes);
  }

  /** An object is in one queue with all its parts, so that who has its last one can fetch it anew. */
  #enqueue(parts: readonly Part[]): void {
    for (const part of parts.toReversed()) {
      if (this.#isSmall(this.#object(part.object))) this.#smallQueue.push(part);
      else this.#queue.add(part);
      this.#missing[part.object] = this.#left(part) + 1;
    }
  }

  #left({ object }: Part): number {
    return this.#missing[object] ?? 0;
  }

  async #lane(whole: number[], next: () => Part | undefined): Promise<void> {
    for (let object = whole.shift(); object !== undefined; object = whole.shift()) await this.#finish(object);
    for (let part = next(); part !== undefined; part = next()) {
      this.#signal.throwIfAborted();
      await this.#part(part);
      const left = this.#left(part) - 1;
      this.#missing[part.object] = left;
      if (left === 0) await this.#finish(part.object);
    }
  }

  async #part(part: Part): Promise<void> {
    const { clock, limits, random } = this.#deps;
    const object = this.#object(part.object);
    let at = part.start;
    let failures = 0;
    while (at < part.end) {
      const before = at;
      try {
        await this.#stream(part, at, (to) => (at = to));
      } catch (thrown) {
        this.#signal.throwIfAborted();
        failures = at > before ? 1 : failures + 1;
        if (!(thrown instanceof ArtifactError) || !thrown.worthRetrying || failures >= limits.failures) throw thrown;
        if (!object.ranges) at = this.#restart(part, at);
        await clock.sleep(backoffMs(failures, random()), this.#signal);
      }
    }
  }

  #object(index: number): RemoteObject {
    const object = this.#deps.objects[index];
    if (object === undefined) throw new Error(`no object ${index}`);
    return object;
  }

  /** A store without ranges sends all of it again. */
  #restart({ object, start }: Part, at: number): number {
    this.#deps.partial.forget(object);
    this.#deps.onBytes(start - at);
    return start;
  }

  /** One connection: from `from` to the end of the part, or until it breaks. `reached`: all before it is on disk. */
  async #stream(part: Part, from: number, reached: (to: number) => void): Promise<void> {
    const { source, partial, clock, limits, onBytes } = this.#deps;
    const object = this.#object(part.object);
    const range = { start: from, end: part.end };
    const file = await this.#file(part.object);
    const stall = stallWatch(clock, limits.stallMs, object.key, this.#signal);
    let at = from;
    const heard = (bytes: number): void => {
      stall.heard();
      at += bytes;
      onBytes(bytes);
    };
    const { sink, end } = this.#into(file, part.object, range, {
      heard,
      written: (segment, bytes) => {
        heard(bytes);
        partial.record(part.object, segment);
        reached(segment.end);
      },
    });
    try {
      await source.read(object, range, sink, stall.signal);
      if (at < part.end)
        throw new ArtifactError('unreachable', `${object.key}: the connection ended after ${at - from} of ${part.end - from} bytes.`);
    } finally {
      stall.end();
      await end();
    }
  }

  /** Where the bytes of a range go. `end`: once no more come. */
  #into(
    file: PartFile,
    index: number,
    range: ByteRange,
    watch: RangeWatch,
  ): { readonly sink: ByteSink; readonly end: () => Promise<void> } {
    const object = this.#object(index);
    const { key, sizeBytes, digests } = object;
    const path = this.#deps.partial.file(index);
    const look = (block: Uint8Array): void => {
      // All of a small file: it is verified without reading it again.
      if (block.length === sizeBytes) this.#digests.set(index, digestsOf(block, digests));
    };
    const writer = new PartWriter({
      name: key,
      file,
      path,
      range,
      pool: this.#pool,
      look,
      written: (segment) => watch.written(segment, 0),
    });
    const sink: ByteSink = {
      space: () => writer.space(),
      filled: (bytes) => {
        watch.heard(bytes);
        return writer.filled(bytes);
      },
    };
    const end = async (): Promise<void> => await writer.end();
    const receivers = this.#isSmall(object) ? undefined : this.#receivers;
    if (receivers === undefined) return { sink, end };
    const job = { object: { key, sizeBytes }, range, descriptor: file.descriptor, path, segmentBytes: this.#segmentBytes };
    const elsewhere: ByteSink['elsewhere'] = async ({ method, url, headers }, signal) =>
      await receivers.receive({ method, url: url.href, headers, ...job }, watch, signal);
    return { sink: { ...sink, elsewhere }, end };
  }

  async #file(object: number): Promise<PartFile> {
    const opened =
      this.#open.get(object) ??
      this.#deps.partial.open(object).catch((thrown: unknown) => {
        throw diskError(thrown, this.#deps.partial.file(object));
      });
    this.#open.set(object, opened);
    return await opened;
  }

  /** All bytes of an object are there: they are verified. */
  async #finish(index: number): Promise<void> {
    const object = this.#object(index);
    const file = await this.#file(index);
    const { source, partial, limits } = this.#deps;
    // Only what an earlier try has left can be too long.
    if (partial.resumed) await file.truncate(object.sizeBytes);
    const reading = { file, sizeBytes: object.sizeBytes, pool: this.#pool, digests: this.#digests.get(index) };
    this.#digests.delete(index);
    const crc = wholeCrc32(object.sizeBytes, partial.segments(index)) ?? (await fileCrc32(reading, this.#signal));
    const problem = await objectProblem(source, object, { reading, crc, askFrom: limits.partBytes }, this.#signal);
    if (problem !== undefined) {
      this.#again(index, problem);
      return;
    }
    // Elsewhere a model that may not have reached the disk is known by the boot that it was fetched in, and read again after a crash.
    if (bootId() === '') await file.datasync();
    this.#open.delete(index);
    await file.close();
    partial.finish(index);
    this.#fetched.push({ path: object.path, sizeBytes: object.sizeBytes, etag: object.etag, crc32: crc });
  }

  /** Damaged on its way: it is fetched once more. */
  #again(index: number, problem: string): void {
    const object = this.#object(index);
    if (this.#repeated.has(index))
      throw new ArtifactError('checksum', `${object.key} is damaged: ${problem}. It was fetched twice; upload it again.`);
    this.#repeated.add(index);
    this.#deps.partial.forget(index);
    this.#deps.onBytes(-object.sizeBytes);
    const parts = planParts([object], [[]], this.#deps.limits.partBytes).map((part) => ({ ...part, object: index }));
    this.#enqueue(parts);
  }
}

/** The failure was told where the file was opened. */
function ignoreFailedOpen(): void {
  return undefined;
}
