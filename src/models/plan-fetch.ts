import { ArtifactError } from './artifact-error.ts';
import type { ByteRange, RemoteObject } from './source.ts';

const longestPath = 1024;
const longestName = 255;
const deviceName = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** Why an object of that name is not written to disk; undefined where its name is good. */
export function nameProblem(path: string): string | undefined {
  if (path === '') return 'it is empty';
  if (Buffer.byteLength(path) > longestPath) return `it is longer than ${longestPath} bytes`;

  if (/\p{Cc}/u.test(path)) return 'it has a control character';
  if (path.includes('\\')) return 'it has a backslash';
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) return 'it is absolute';
  for (const part of path.split('/')) {
    if (part === '') return 'a part of it is empty';
    if (part === '.' || part === '..') return `it has ${JSON.stringify(part)} in it`;
    if (Buffer.byteLength(part) > longestName) return `a part of it is longer than ${longestName} bytes`;
    if (deviceName.test(part)) return `${JSON.stringify(part)} is the name of a device`;
  }
  return undefined;
}

const pickled = /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/i;

export interface FetchRules {
  /** Pickled weights, and code that comes with a model, are fetched too: they run with the gateway's rights once an engine loads them. */
  readonly trustRemoteCode: boolean;
}

export interface FetchPlan {
  /** By path, in order. */
  readonly objects: readonly RemoteObject[];
  readonly sizeBytes: number;
  /** Left out, and why. */
  readonly left: readonly { readonly path: string; readonly reason: string }[];
}

const quoted = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);

/** A console makes such empty objects to show a folder. */
const isFolderMark = ({ path, sizeBytes }: RemoteObject): boolean => sizeBytes === 0 && (path === '' || path.endsWith('/'));

function refuse(objects: readonly RemoteObject[], reference: string): void {
  const taken = new Map<string, string>();
  for (const { path } of objects) {
    const problem = nameProblem(path);
    if (problem !== undefined)
      throw new ArtifactError(
        'unsafe',
        `${reference} has an object named ${quoted(path)}: ${problem}. Nothing was fetched; rename it or take it away.`,
      );
    // On many disks these are one file.
    const folded = path.toLowerCase().normalize('NFC');
    const other = taken.get(folded);
    if (other !== undefined)
      throw new ArtifactError(
        'unsafe',
        `${reference} has both ${quoted(other)} and ${quoted(path)}, which one disk cannot hold. Take one away.`,
      );
    taken.set(folded, path);
  }
}

/**
 * What of a listing is fetched. Pickled weights beside safetensors or GGUF are left out; where there is nothing else, they are refused.
 * @throws ArtifactError `missing` for an empty listing; `unsafe` for a name that must not be written, and for pickled weights.
 */
export function planFetch(listing: readonly RemoteObject[], reference: string, rules: FetchRules): FetchPlan {
  const objects = listing.filter((object) => !isFolderMark(object)).sort((a, b) => (a.path < b.path ? -1 : 1));
  if (objects.length === 0) throw new ArtifactError('missing', `There is nothing at ${reference}. Check the bucket and the prefix.`);
  refuse(objects, reference);
  const isPickled = ({ path }: RemoteObject): boolean => !rules.trustRemoteCode && pickled.test(path);
  const kept = objects.filter((object) => !isPickled(object));
  const dropped = objects.filter(isPickled);
  if (dropped.length > 0 && !kept.some(({ path }) => /\.(?:safetensors|gguf)$/i.test(path))) {
    const [first] = dropped;
    throw new ArtifactError(
      'unsafe',
      `${reference} has its weights only as pickle (${quoted(first?.path ?? '')}), which runs code when it is loaded. Convert them to safetensors, or set engine_kwargs.trust_remote_code: true if you trust it.`,
    );
  }
  return {
    objects: kept,
    sizeBytes: kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    left: dropped.map(({ path }) => ({ path, reason: 'pickle, which runs code when it is loaded' })),
  };
}

/** A range of one object that is still to be fetched. */
export interface Part extends ByteRange {
  /** Index of the object in its plan. */
  readonly object: number;
}

/** What of `0..sizeBytes` is in none of `done`, which lie in any order and may touch. */
export function gaps(sizeBytes: number, done: readonly ByteRange[]): readonly ByteRange[] {
  const missing: ByteRange[] = [];
  let at = 0;
  for (const { start, end } of [...done].sort((a, b) => a.start - b.start)) {
    if (start > at) missing.push({ start: at, end: start });
    at = Math.max(at, end);
  }
  if (at < sizeBytes) missing.push({ start: at, end: sizeBytes });
  return missing;
}

/** The parts to fetch, of at most `partBytes` each. An object that cannot be had in parts is one part, from its first byte. */
export function planParts(objects: readonly RemoteObject[], done: readonly (readonly ByteRange[])[], partBytes: number): readonly Part[] {
  const parts: Part[] = [];
  for (const [object, { sizeBytes, ranges }] of objects.entries()) {
    const missing = gaps(sizeBytes, done[object] ?? []);
    if (!ranges && missing.length > 0) parts.push({ object, start: 0, end: sizeBytes });
    else
      for (const { start, end } of missing)
        for (let at = start; at < end; at += partBytes) parts.push({ object, start: at, end: Math.min(end, at + partBytes) });
  }
  return parts;
}
