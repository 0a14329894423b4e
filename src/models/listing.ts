import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';
import { backoffMs } from './backoff.ts';
import type { RemoteObject, Source } from './source.ts';
import { stallWatch } from './stall.ts';

const tries = 4;

/**
 * All that a store lists, asked again while it is busy or away.
 * @param stallMs without an object, after which the store is given up
 * @throws ArtifactError; the signal's reason
 */
export async function listAll(
  source: Source,
  { clock, random, stallMs }: { readonly clock: Clock; readonly random: () => number; readonly stallMs: number },
  signal: AbortSignal,
): Promise<readonly RemoteObject[]> {
  for (let failures = 1; ; failures += 1) {
    const stall = stallWatch(clock, stallMs, 'the listing', signal);
    try {
      const objects: RemoteObject[] = [];
      for await (const object of source.list(stall.signal)) {
        stall.heard();
        objects.push(object);
      }
      return objects;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof ArtifactError) || !thrown.worthRetrying || failures >= tries) throw thrown;
      await clock.sleep(backoffMs(failures, random()), signal);
    } finally {
      stall.end();
    }
  }
}
