import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockPool } from './block-pool.ts';
import type { Cached } from './cache.ts';
import { entryProblem } from './entry.ts';
import { fileCrc32 } from './verify.ts';

/** Reads all files of a cached model. @returns what is wrong with the first bad one; undefined where all are as they were fetched */
export async function damageOf({ dir, entry }: Cached, signal: AbortSignal): Promise<string | undefined> {
  const problem = entryProblem(dir, entry);
  if (problem !== undefined) return problem;
  const pool = new BlockPool();
  for (const { path, sizeBytes, crc32 } of entry.files) {
    const name = join(dir, 'files', path);
    await using file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW);
    if ((await fileCrc32({ file, sizeBytes, pool }, signal)) !== crc32) return `${name} is not what was fetched (its CRC-32 differs)`;
  }
  return undefined;
}
