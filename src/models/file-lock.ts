import { existsSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../core/clock.ts';

/** SQLITE_BUSY: somebody else holds the lock. */
const busy = 5;
const lookEveryMs = 250;

/** Held until it is given back, or its process ends. */
export interface FileLock {
  release(): void;
}

/**
 * Takes a lock of the kernel's on `file`, which is made (0600) where it is not there; undefined where another process, or another part of
 * this one, holds it. It ends with the process however that ends, so it is never stale. Node offers no flock; SQLite, which is part of it,
 * takes such a lock (fcntl) on any system. No process may open and close the file otherwise: that would drop its own lock.
 */
export function tryLock(file: string): FileLock | undefined {
  if (!existsSync(file)) writeFileSync(file, '', { flag: 'a', mode: 0o600 });
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    // Never ended, and nothing is ever written: the file stays empty, and needs no journal beside it.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (thrown) {
    lock.close();
    if ((thrown as { errcode?: unknown }).errcode === busy) return undefined;
    throw thrown;
  }
  return {
    release: () => {
      if (lock.isOpen) lock.close();
    },
  };
}

/** As `tryLock`, but waits for it; `waits` is called each time that it is still taken. */
export async function waitForLock(file: string, clock: Clock, signal: AbortSignal, waits?: () => void): Promise<FileLock> {
  for (;;) {
    signal.throwIfAborted();
    const lock = tryLock(file);
    if (lock !== undefined) return lock;
    waits?.();
    await clock.sleep(lookEveryMs, signal);
  }
}
