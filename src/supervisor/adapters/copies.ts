import type { AdapterName } from '../../core/ids.ts';
import { copiesOf, copiesWanted } from './placement.ts';
import type { Holder } from './placement.ts';

/** Use of all adapters below which none gets a second copy: it would be noise. */
const leastHeat = 32;
/** A copy beyond those wanted goes when it was not wanted for so long. */
const surplusForMs = 60_000;

export interface CopyPlan {
  /** Adapters that need one more copy, and one less. */
  readonly grow: readonly AdapterName[];
  readonly shrink: readonly AdapterName[];
  /** Adapters with more copies than they need, and since when; to be given to the next call. */
  readonly surplusSince: ReadonlyMap<AdapterName, number>;
}

/** As many copies of each adapter as its part of the load needs; fewer only after a while. Pure. */
export function planCopies(
  holders: readonly Holder[],
  heatOf: (adapter: AdapterName) => number,
  before: CopyPlan['surplusSince'],
  now: number,
): CopyPlan {
  const total = holders.reduce((sum, { heat }) => sum + heat, 0);
  const grow: AdapterName[] = [];
  const shrink: AdapterName[] = [];
  const surplusSince = new Map<AdapterName, number>();
  for (const adapter of new Set(holders.flatMap(({ adapters }) => [...adapters.keys()]))) {
    const wanted = total < leastHeat ? 1 : copiesWanted(heatOf(adapter) / total, holders.length);
    const copies = copiesOf(adapter, holders);
    const since = before.get(adapter) ?? now;
    if (copies > 0 && copies < wanted) grow.push(adapter);
    else if (copies <= wanted) continue;
    else if (now - since >= surplusForMs) shrink.push(adapter);
    else surplusSince.set(adapter, since);
  }
  return { grow, shrink, surplusSince };
}
