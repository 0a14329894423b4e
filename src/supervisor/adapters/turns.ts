import type { AdapterName } from '../../core/ids.ts';
import { copiesOf } from './placement.ts';
import type { Holder } from './placement.ts';

/** Where all adapters are in use: how long one waits at least before another makes way for it, and how long that had been there. */
export const turnMs = 5_000;

/**
 * Which adapter is to get no more requests, though it is in use, so that one that waits has its turn: one with another copy, else the one that
 * has been there longest. It goes when those it has have ended. Undefined where none has been there long enough. Pure.
 */
export function nextToYield(
  waiting: AdapterName,
  holders: readonly Holder[],
  now: number,
): { readonly index: number; readonly adapter: AdapterName } | undefined {
  const candidates = holders
    .filter(({ adapters }) => !adapters.has(waiting))
    .flatMap(({ index, adapters }) =>
      [...adapters].flatMap(([adapter, { state, since }]) =>
        state === 'loaded' && now - since >= turnMs ? [{ index, adapter, since, copies: Math.min(2, copiesOf(adapter, holders)) }] : [],
      ),
    );
  return candidates.sort((a, b) => b.copies - a.copies || a.since - b.since)[0];
}
