import { alignColumns } from '../report/table.ts';
import { admissionCost, limitCost, presented } from './admission-cost.ts';
import { samples, threshold, toldApart } from './told-apart.ts';

const counts = [1, 10_000] as const;
const workers = 2;

/** What asking for a key costs a request: computed in this process, without any system beside it. */
export function keysReport(): readonly string[] {
  const costs = counts.map((keys) => {
    const cost = admissionCost(keys);
    return [`${keys} keys`, ...presented.map((kind) => cost[kind].toFixed(0))];
  });
  return [
    ...alignColumns([['ns, by the key presented', ...presented], ...costs]),
    '',
    ...alignColumns([
      ['ns', 'all limits of a key'],
      [`${workers} workers`, limitCost(workers).toFixed(0)],
    ]),
    '',
    ...alignColumns([
      [`wrong at the end or from the start: Welch's t of ${samples} (told apart from ±${threshold} on)`, 't'],
      ...counts.map((keys) => [`${keys} keys`, toldApart(keys).toFixed(1)]),
    ]),
  ];
}
