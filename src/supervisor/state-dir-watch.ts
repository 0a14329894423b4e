import type pino from 'pino';
import { messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Claim } from './state-dir.ts';

const lookMs = 2_000;

/** What else is to be done for a state directory. */
export interface StateDirKeeper {
  /** Writes again what must be in it. @throws GatewayError `state_unusable` */
  restore(): void;
  /** Makes room on its disk where that is full; called at each look while the directory cannot be written. */
  makeRoom(): void;
}

/**
 * Looks, until the returned function is called, whether a state directory is still the one that was claimed. One that was deleted or replaced
 * is made and claimed anew, for the next gateway finds engines by it; the log tells, also of one that cannot be written any more, and when it
 * can again.
 */
export function watchStateDir(clock: Clock, log: pino.Logger, claim: Claim, keeper: StateDirKeeper): () => void {
  const { dir } = claim;
  let told: string | undefined;
  const tell = (trouble: string | undefined): void => {
    if (trouble === told) return;
    if (trouble === undefined) log.info({ dir }, `the state directory ${dir} can be used again`);
    else log.warn({ dir }, trouble);
    told = trouble;
  };
  // What must be in it may find no room at first.
  let owed = false;
  const renew = (): void => {
    owed = claim.renew() || owed;
    if (!owed) return;
    keeper.restore();
    owed = false;
    log.warn(
      { dir },
      `the state directory ${dir} was deleted or replaced while the gateway ran; it was made anew. Its admin socket and the logs of running engines are gone until they start again`,
    );
  };
  const look = (): void => {
    const trouble =
      troubleOf(renew, (why) => `the state directory ${dir} is lost: ${why} Engines that run now are not found by the next gateway`) ??
      troubleOf(
        () => claim.assertWritable(),
        (why) => `${why} What runs goes on; an engine that ends is not started again before it can be written`,
      );
    tell(trouble);
    if (trouble !== undefined) keeper.makeRoom();
    cancel = clock.after(lookMs, look);
  };
  let cancel = clock.after(lookMs, look);
  return () => cancel();
}

/** What `told` makes of why `act` failed; undefined where it did not. */
function troubleOf(act: () => void, told: (why: string) => string): string | undefined {
  try {
    act();
    return undefined;
  } catch (thrown) {
    return told(messageOf(thrown));
  }
}
