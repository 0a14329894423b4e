import type { AdapterName } from '../../core/ids.ts';
import { copiesOf } from './placement.ts';
import type { Holder } from './placement.ts';

/** Mean use of the replicas below which a difference between them would be noise. */
const leastMean = 100;
/** How far above the mean the hottest replica may be, and by what part of the mean a move must cool it to be worth a load. */
const tolerated = 1.1;
const worthwhile = 0.03;

/** An adapter that is to be elsewhere, by the indices of the replicas. */
export interface Move {
  readonly adapter: AdapterName;
  readonly from: number;
  readonly to: number;
}

/**
 * What goes from the hottest replica to the coolest so that the hotter of the two is as cool as can be; undefined where the load is even.
 * An adapter that has several copies is left to `planCopies()`, and while one of those on the coolest may go elsewhere, its load is not known. Pure.
 * @param surplus adapters of which copies go soon
 */
export function planMove(
  holders: readonly Holder[],
  heatOf: (adapter: AdapterName) => number,
  surplus: { has(adapter: AdapterName): boolean },
): Move | undefined {
  const [coolest, ...others] = [...holders].sort((a, b) => a.heat - b.heat);
  const hottest = others.at(-1);
  const mean = holders.reduce((sum, { heat }) => sum + heat, 0) / holders.length;
  if (coolest === undefined || hottest === undefined || mean < leastMean || hottest.heat <= tolerated * mean) return undefined;
  if ([...coolest.adapters.keys()].some((adapter) => surplus.has(adapter))) return undefined;
  let move: Move | undefined;
  let least = hottest.heat - worthwhile * mean;
  for (const [adapter, { state }] of hottest.adapters) {
    if (state !== 'loaded' || copiesOf(adapter, holders) > 1 || coolest.adapters.has(adapter)) continue;
    const heat = heatOf(adapter);
    const hotter = Math.max(hottest.heat - heat, coolest.heat + heat);
    if (hotter >= least) continue;
    least = hotter;
    move = { adapter, from: hottest.index, to: coolest.index };
  }
  return move;
}
