import { statfs } from 'node:fs/promises';
import { ArtifactError } from './artifact-error.ts';
import type { ModelCache } from './cache.ts';
import { bytesText } from './progress.ts';

/** A disk is not filled to the last byte. */
const spare = 1.05;

export interface RoomWish {
  readonly reference: string;
  readonly sizeBytes: number;
  /** Of these, the bytes that are here. */
  readonly doneBytes: number;
  /** Bytes that the cache may have; undefined: as many as the disk has. */
  readonly maxBytes: number | undefined;
}

/** Makes room for a model: the least recently used ones go, as far as the cache's limit asks for it. @throws ArtifactError `no-space` */
export async function makeRoom(cache: ModelCache, wish: RoomWish, signal: AbortSignal): Promise<void> {
  const { reference, sizeBytes, doneBytes, maxBytes } = wish;
  if (maxBytes !== undefined) {
    const rest = await cache.shrinkTo(maxBytes - sizeBytes, signal);
    if (rest + sizeBytes > maxBytes) {
      const used = rest === 0 ? '' : `, and models in use have ${bytesText(rest)}`;
      throw new ArtifactError(
        'no-space',
        `${reference} has ${bytesText(sizeBytes)}${used}; gateway.cache.max_bytes is ${bytesText(maxBytes)}. Raise it, or run fewer models.`,
      );
    }
  }
  const needed = Math.ceil((sizeBytes - doneBytes) * spare);
  const { bavail, bsize } = await statfs(cache.root);
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new ArtifactError(
    'no-space',
    `${reference} needs ${bytesText(needed)} more on the disk of ${cache.root} (5 % to spare), which has ${bytesText(free)}. Make room ("gateway cache rm"), or give gateway.cache.dir another disk.`,
  );
}
