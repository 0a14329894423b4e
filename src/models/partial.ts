import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bootId } from './boot-id.ts';
import { joinCrc32 } from './crc32.ts';
import { PartFile } from './part-file.ts';
import type { ByteRange, RemoteObject } from './source.ts';

/** Bytes that are on disk, with their CRC-32. */
export interface Segment extends ByteRange {
  readonly crc32: number;
}

const line = /^(\d+) (\d+) (\d+) ([0-9a-f]{1,8})$/;
const forgotten = /^forget (\d+)$/;

/** A segment that begins where another one does has grown out of it. The newest ones grow, so that they are looked for first. */
function put(segments: Segment[] | undefined, segment: Segment): void {
  const at = segments?.findLastIndex(({ start }) => start === segment.start) ?? -1;
  segments?.splice(at < 0 ? segments.length : at, 1, segment);
}

/** What the journal says is on disk, by object. A last line that a crash has torn says nothing. */
export function readJournal(text: string, objects: number): Segment[][] {
  const segments: Segment[][] = Array.from({ length: objects }, () => []);
  for (const each of text.split('\n').slice(0, -1)) {
    const forget = forgotten.exec(each);
    if (forget !== null) segments[Number(forget[1])]?.splice(0);
    const found = line.exec(each);
    if (found === null) continue;
    const [, object, start, end, crc32 = ''] = found;
    put(segments[Number(object)], { start: Number(start), end: Number(end), crc32: Number.parseInt(crc32, 16) });
  }
  return segments;
}

/** The CRC-32 of a whole object; undefined where its segments do not make it up, each byte once. */
export function wholeCrc32(sizeBytes: number, segments: readonly Segment[]): number | undefined {
  let at = 0;
  let crc = 0;
  for (const { start, end, crc32 } of [...segments].sort((a, b) => a.start - b.start)) {
    if (start !== at) return undefined;
    crc = at === 0 ? crc32 : joinCrc32(crc, crc32, end - start);
    at = end;
  }
  return at === sizeBytes ? crc : undefined;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/**
 * A download that is not whole: its files, and a journal of what is in them, so that it goes on where it was cut. Only who holds its lock
 * may open it.
 */
export class PartialDownload {
  readonly dir: string;
  readonly #objects: readonly RemoteObject[];
  readonly #segments: Segment[][];
  readonly #journal: number;
  readonly #made = new Set<string>();
  /** What an earlier try has left is gone on with. */
  readonly resumed: boolean;

  /**
   * @param identity equal for two downloads of the same content; what another one left in `dir` is thrown away.
   */
  constructor(dir: string, identity: string, objects: readonly RemoteObject[]) {
    this.dir = dir;
    this.#objects = objects;
    const claim = JSON.stringify({ identity, boot: bootId() });
    const claimFile = join(dir, 'claim.json');
    const journal = join(dir, 'journal');
    this.resumed = readText(claimFile) === claim;
    if (!this.resumed) {
      rmSync(dir, { recursive: true, force: true });
      mkdirSync(join(dir, 'files'), { recursive: true, mode: 0o700 });
      writeFileSync(claimFile, claim, { mode: 0o600 });
    }
    this.#segments = readJournal(readText(journal), objects.length);
    this.#journal = openSync(journal, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    // Ends a line that a crash has torn.
    writeSync(this.#journal, '\n');
  }

  segments(object: number): readonly Segment[] {
    return this.#segments[object] ?? [];
  }

  get done(): readonly (readonly Segment[])[] {
    return this.#segments;
  }

  get doneBytes(): number {
    return this.#segments.flat().reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The bytes of `segment` are in the object's file, with those of the last one that began at the same place. */
  record(object: number, segment: Segment): void {
    writeSync(this.#journal, `${object} ${segment.start} ${segment.end} ${segment.crc32.toString(16)}\n`);
    put(this.#segments[object], segment);
  }

  /** The object is fetched anew, from its first byte. */
  forget(object: number): void {
    writeSync(this.#journal, `forget ${object}\n`);
    this.#segments[object]?.splice(0);
  }

  /** The object is whole: its segments are asked for no more. The journal keeps them. */
  finish(object: number): void {
    this.#segments[object] = [];
  }

  file(object: number): string {
    return join(this.dir, 'files', this.#objects[object]?.path ?? '');
  }

  /** Never through a symlink that somebody has put there. */
  async open(object: number): Promise<PartFile> {
    const file = this.file(object);
    const folder = dirname(file);
    if (!this.#made.has(folder)) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#made.add(folder);
    }
    return await PartFile.open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  }

  close(): void {
    closeSync(this.#journal);
  }

  /** Takes the traces of the download away, so that only the model's files are left. */
  clean(): void {
    rmSync(join(this.dir, 'journal'));
    rmSync(join(this.dir, 'claim.json'));
  }
}
