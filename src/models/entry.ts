import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isMapping, parseJson } from '../core/json.ts';
import type { FetchedFile } from './fetch.ts';
import { nameProblem } from './plan-fetch.ts';

/** What the cache knows of one finished model; kept beside its files. */
export interface Entry {
  readonly reference: string;
  readonly revision: string;
  /** ISO 8601. */
  readonly fetchedAt: string;
  readonly sizeBytes: number;
  /** The boot in which it was fetched, or read again; `''`: it is surely on the disk. */
  readonly boot: string;
  /** Their paths are safe (`nameProblem`). */
  readonly files: readonly FetchedFile[];
}

const isCount = (value: unknown, most = Number.MAX_SAFE_INTEGER): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
const areTexts = (...values: readonly unknown[]): boolean => values.every((value) => typeof value === 'string');

function isFile(value: unknown): value is FetchedFile {
  if (!isMapping(value)) return false;
  const { path, sizeBytes, etag, crc32 } = value;
  return typeof path === 'string' && nameProblem(path) === undefined && areTexts(etag) && isCount(sizeBytes) && isCount(crc32, 0xffffffff);
}

/** By hand: zod has 95 modules, and nothing else of a pull needs one of them. Entries of before there were boots have none. */
function isEntry(value: unknown): value is Omit<Entry, 'boot'> & Partial<Pick<Entry, 'boot'>> {
  if (!isMapping(value)) return false;
  const { reference, revision, fetchedAt, sizeBytes, boot = '', files } = value;
  return (
    areTexts(reference, revision, fetchedAt, boot) && isCount(sizeBytes) && Array.isArray(files) && files.every((file) => isFile(file))
  );
}

export const entryFile = 'entry.json';

/** The entry in `dir`; undefined where there is none, or none that can be read. */
export function readEntry(dir: string): Entry | undefined {
  let text: string;
  try {
    text = readFileSync(join(dir, entryFile), 'utf8');
  } catch {
    return undefined;
  }
  const found = parseJson(text);
  return isEntry(found) ? { boot: '', ...found } : undefined;
}

/** Writes the entry into `dir` as a whole: a crash leaves the one that was there before, or this one. */
export function writeEntry(dir: string, entry: Entry): void {
  const file = join(dir, entryFile);
  const written = openSync(`${file}.new`, 'w', 0o600);
  try {
    for (const text of jsonOf(entry)) writeFully(written, Buffer.from(text));
    fsyncSync(written);
  } finally {
    closeSync(written);
  }
  renameSync(`${file}.new`, file);
}

const filesAtOnce = 1000;

/** In pieces: of thousands of files it is megabytes, at the moment at which the process has most in memory. */
function* jsonOf({ files, ...rest }: Entry): Iterable<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"files":[`;
  for (let at = 0; at < files.length; at += filesAtOnce)
    yield `${at === 0 ? '' : ','}${JSON.stringify(files.slice(at, at + filesAtOnce)).slice(1, -1)}`;
  yield ']}';
}

function writeFully(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
}

/** Why the files in `dir` are not those of the entry, as far as their names and sizes tell; undefined where they are. */
export function entryProblem(dir: string, entry: Entry): string | undefined {
  for (const { path, sizeBytes } of entry.files) {
    // Each folder on the way too: a symlink would lead out of the cache.
    const parts = path.split('/');
    for (const at of parts.keys()) {
      const below = join(dir, 'files', ...parts.slice(0, at + 1));
      const found = lstatSync(below, { throwIfNoEntry: false });
      if (found === undefined) return `${below} is not there`;
      if (found.isSymbolicLink()) return `${below} is a symlink`;
      if (at === parts.length - 1 && (!found.isFile() || found.size !== sizeBytes)) return `${below} is not a file of ${sizeBytes} bytes`;
    }
  }
  return undefined;
}

const shard = /-(\d{5})-of-\d{5}\.gguf$/i;

/** What an engine is given: the GGUF file (of a split one the first), or the directory. */
export function modelPath(dir: string, { files }: Entry): string {
  const root = join(dir, 'files');
  const [only] = files;
  if (files.length === 1 && only !== undefined) return join(root, only.path);
  const ggufs = files.filter(({ path }) => path.toLowerCase().endsWith('.gguf')).map(({ path }) => path);
  const first = ggufs.length === 1 ? ggufs[0] : ggufs.find((path) => shard.exec(path)?.[1] === '00001');
  const isDirectory = first === undefined || files.some(({ path }) => path === 'config.json');
  return isDirectory ? root : join(root, first);
}
