import { copyFile, rm, statfs, truncate } from 'node:fs/promises';

/** A disk with less room than this is full: an engine's next lines, and the lease of the next one, may not find any. */
export const scarceBytes = 65_536;

/** Whether the disk that a file lies on is full, for who is not root. @param scarce less room than this is none */
export async function isDiskFull(file: string, scarce: number): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(file);
    return bavail * bsize < scarce;
  } catch {
    // Whoever needs the room will say why there is none.
    return false;
  }
}

async function keepCopy(file: string, copy: string): Promise<boolean> {
  try {
    await copyFile(file, copy);
    return true;
  } catch {
    return false;
  }
}

/**
 * Empties a log that its engine goes on writing to, in append mode. What is written between the copy and the cut is lost: the price of not
 * sitting in the engine's way.
 * @param copies whether a copy is to be kept, as `<file>.1`; without one, or where there is no room for one, the older copy goes too: it
 * only takes the room that the engines need.
 */
export async function cutLog(file: string, copies: boolean): Promise<'kept' | 'unkept' | 'uncut'> {
  const copy = `${file}.1`;
  const kept = copies && (await keepCopy(file, copy));
  if (!kept) await rm(copy, { recursive: true, force: true }).catch(() => undefined);
  try {
    await truncate(file, 0);
  } catch {
    return 'uncut';
  }
  return kept ? 'kept' : 'unkept';
}
