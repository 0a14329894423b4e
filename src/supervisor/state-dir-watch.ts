import type pino from 'pino';
import { messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Claim } from './state-dir.ts';

const lookMs = 5_000;

/**
 * Looks, until the returned function is called, whether a state directory is still the one that was claimed. One that was deleted or replaced
 * is made and claimed anew, for the next gateway finds engines by it; the log tells.
 * @param restore writes again what must be in it.
 */
export function watchStateDir(clock: Clock, log: pino.Logger, claim: Claim, restore: () => void): () => void {
  let told: string | undefined;
  const look = (): void => {
    try {
      if (claim.renew()) {
        restore();
        log.warn(
          { dir: claim.dir },
          `the state directory ${claim.dir} was deleted or replaced while the gateway ran; it was made anew. Its admin socket and the logs of running engines are gone until they start again`,
        );
      }
      told = undefined;
    } catch (thrown) {
      const message = `the state directory ${claim.dir} is lost: ${messageOf(thrown)} Engines that run now are not found by the next gateway`;
      if (message !== told) log.warn({ dir: claim.dir }, message);
      told = message;
    }
    cancel = clock.after(lookMs, look);
  };
  let cancel = clock.after(lookMs, look);
  return () => cancel();
}
