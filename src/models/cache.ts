import { createHash, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, statSync, unlinkSync, utimesSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';
import { entryFile, readEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { tryLock, waitForLock } from './file-lock.ts';
import type { FileLock } from './file-lock.ts';
import type { RemoteObject } from './source.ts';

const folderNames = ['models', 'partial', 'trash', 'locks', 'leases'] as const;

/** A finished model in the cache. */
export interface Cached {
  /** Names it among all of the cache. */
  readonly id: string;
  /** Absolute. */
  readonly dir: string;
  readonly entry: Entry;
  /** Unix milliseconds. */
  readonly usedAt: number;
}

/** A download that is not whole. */
export interface Unfinished {
  readonly id: string;
  readonly dir: string;
}

const digestDigits = 12;
const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, digestDigits);

/** A reference as the name of a directory: what a person can read of it, and what makes it unique. */
export function slugOf(reference: string): string {
  const words = reference
    .split('/')
    .slice(-2)
    .join('-')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replaceAll(/^[.-]+/g, '')
    .slice(0, 60);
  return `${words}-${digest(reference)}`;
}

/** Where a cache keeps the versions of what a reference names. @param reference as it is shown */
export function entriesOf(root: string, reference: string): string {
  return join(root, 'models', slugOf(reference));
}

const objectsATurn = 500;

/** Equal for two listings exactly when their content is the same, as far as the store tells. */
export async function revisionOf(objects: readonly RemoteObject[]): Promise<string> {
  // The digest of one JSON array, without the megabytes of text that it is for thousands of objects.
  const hash = createHash('sha256').update('[');
  for (const [at, { path, sizeBytes, etag, digests }] of objects.entries()) {
    // Of thousands the garbage is megabytes, which a collection that is under way takes only between two turns.
    if (at % objectsATurn === 0) await nextTurn();
    hash.update(`${at === 0 ? '' : ','}${JSON.stringify([path, sizeBytes, etag, digests])}`);
  }
  return hash.update(']').digest('hex').slice(0, digestDigits);
}

function folders(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map(({ name }) => name);
}

/**
 * The directory of fetched models. What is in `models/` is whole; what comes is made in `partial/`, and what goes, in `trash/`. Locks are
 * the kernel's, so that several gateways may share it.
 */
export class ModelCache {
  readonly root: string;
  readonly #clock: Clock;

  /** @param root absolute; it is made once something is brought. */
  constructor(root: string, clock: Clock) {
    this.root = root;
    this.#clock = clock;
  }

  /** @throws ArtifactError `unsafe`; what the file system says. */
  #open(): void {
    for (const name of folderNames) {
      const dir = join(this.root, name);
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      if (lstatSync(dir).isSymbolicLink())
        throw new ArtifactError(
          'unsafe',
          `${dir} is a symlink, which the gateway did not make. Take it away, or set gateway.cache.dir to where it leads.`,
        );
    }
  }

  partialDir(id: string): string {
    return join(this.root, 'partial', id.replace('/', '-'));
  }

  /** The right to make the entry `id`; waits for another gateway that makes it now. */
  async claim(id: string, signal: AbortSignal, waits: () => void): Promise<FileLock> {
    this.#open();
    return await waitForLock(join(this.root, 'locks', `${id.replace('/', '-')}.lock`), this.#clock, signal, waits);
  }

  find(id: string): Cached | undefined {
    const dir = join(this.root, 'models', id);
    const entry = readEntry(dir);
    return entry === undefined ? undefined : { id, dir, entry, usedAt: statSync(join(dir, entryFile)).mtimeMs };
  }

  list(): readonly Cached[] {
    const models = join(this.root, 'models');
    return folders(models).flatMap((slug) => folders(join(models, slug)).flatMap((revision) => this.find(`${slug}/${revision}`) ?? []));
  }

  unfinished(): readonly Unfinished[] {
    return folders(join(this.root, 'partial')).map((id) => ({ id, dir: join(this.root, 'partial', id) }));
  }

  /** All entries of `reference`, the last used first. */
  revisions(reference: string): readonly Cached[] {
    const slug = slugOf(reference);
    return folders(join(this.root, 'models', slug))
      .flatMap((revision) => this.find(`${slug}/${revision}`) ?? [])
      .filter(({ entry }) => entry.reference === reference)
      .sort((a, b) => b.usedAt - a.usedAt);
  }

  /** The entry of `reference` that was used last. */
  latest(reference: string): Cached | undefined {
    return this.revisions(reference)[0];
  }

  /** Shows what `dir` holds as the entry `id`, in one step. @returns where it is now */
  show(id: string, dir: string): string {
    const to = join(this.root, 'models', id);
    mkdirSync(join(to, '..'), { recursive: true, mode: 0o700 });
    renameSync(dir, to);
    return to;
  }

  /** Keeps an entry from being taken away until it is released, or this process ends. Undefined where it has gone meanwhile. */
  async lease(id: string, signal: AbortSignal): Promise<FileLock | undefined> {
    return await this.#alone(signal, () => {
      const entry = join(this.root, 'models', id, entryFile);
      if (!existsSync(entry)) return undefined;
      const dir = join(this.root, 'leases', id.replace('/', '-'));
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const file = join(dir, randomBytes(8).toString('hex'));
      const lock = tryLock(file);
      if (lock === undefined) throw new Error(`${file} is locked, and new`);
      const touch = (): void => {
        const now = new Date();
        utimesSync(entry, now, now);
      };
      touch();
      return {
        release: () => {
          touch();
          unlinkSync(file);
          lock.release();
        },
      };
    });
  }

  /** Some process holds a lease on it. */
  isLeased(id: string): boolean {
    const dir = join(this.root, 'leases', id.replace('/', '-'));
    let files: string[];
    try {
      files = readdirSync(dir);
    } catch {
      return false;
    }
    return files.some((name) => {
      const lock = tryLock(join(dir, name));
      if (lock === undefined) return true;
      // Its process has ended.
      unlinkSync(join(dir, name));
      lock.release();
      return false;
    });
  }

  /** Takes an entry away, unless it is in use. What an engine has open stays readable for it. */
  async remove(id: string, signal: AbortSignal): Promise<'removed' | 'in-use' | 'missing'> {
    const trash = join(this.root, 'trash', randomBytes(8).toString('hex'));
    const done = await this.#alone(signal, () => {
      if (this.find(id) === undefined) return 'missing';
      if (this.isLeased(id)) return 'in-use';
      renameSync(join(this.root, 'models', id), trash);
      return 'removed';
    });
    if (done === 'removed') await rm(trash, { recursive: true, force: true });
    return done;
  }

  /** Throws an unfinished download away, unless somebody works on it. */
  async discard({ id, dir }: Unfinished): Promise<'removed' | 'in-use'> {
    const lock = tryLock(join(this.root, 'locks', `${id}.lock`));
    if (lock === undefined) return 'in-use';
    try {
      await rm(dir, { recursive: true, force: true });
      return 'removed';
    } finally {
      lock.release();
    }
  }

  /** Throws away what is in the directory of a download whose claim the caller holds. */
  async drop(dir: string): Promise<void> {
    await rm(dir, { recursive: true, force: true });
  }

  /**
   * Takes the least recently used entries away until those that stay have no more than `bytes`, or are all in use.
   * @returns the bytes of those that stay
   */
  async shrinkTo(bytes: number, signal: AbortSignal): Promise<number> {
    const all = [...this.list()].sort((a, b) => a.usedAt - b.usedAt);
    let sum = all.reduce((total, { entry }) => total + entry.sizeBytes, 0);
    for (const { id, entry } of all) {
      if (sum <= bytes) break;
      if ((await this.remove(id, signal)) === 'removed') sum -= entry.sizeBytes;
    }
    return sum;
  }

  /** One process at a time takes leases, or takes entries away. */
  async #alone<T>(signal: AbortSignal, act: () => T): Promise<T> {
    this.#open();
    const lock = await waitForLock(join(this.root, 'cache.lock'), this.#clock, signal);
    try {
      return act();
    } finally {
      lock.release();
    }
  }
}
