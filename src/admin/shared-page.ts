import type { Clock } from '../core/clock.ts';

/** A page is used again for as many times what it took to make: making it never takes more than a tenth of the thread. */
const rest = 10;
const longestMs = 1_000;

/**
 * Gives all who ask at a time the same page, made once, and those who ask soon after it too: for ten times as long as it took, a second at
 * most. One that could not be made is not kept.
 */
export function sharedPage(make: () => Promise<string>, clock: Clock): () => Promise<string> {
  let page: Promise<string> | undefined;
  let until = Number.POSITIVE_INFINITY;
  const remake = async (): Promise<string> => {
    const begun = clock.now();
    until = Number.POSITIVE_INFINITY;
    try {
      const text = await make();
      const ended = clock.now();
      until = ended + Math.min(longestMs, rest * (ended - begun));
      return text;
    } catch (error) {
      page = undefined;
      throw error;
    }
  };
  return () => {
    if (page === undefined || clock.now() >= until) page = remake();
    return page;
  };
}
