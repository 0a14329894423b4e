import type { Ratio } from '../measure/statistics.ts';
import { alignColumns } from '../report/table.ts';
import { validateCost } from './validate-cost.ts';

const models = 1000;

const over = ({ median, lowest, highest }: Ratio, what: string): string =>
  `${median.toFixed(1)} × ${what} (${lowest.toFixed(1)}–${highest.toFixed(1)})`;

/** What a large config file costs. `dir`: for the files. */
export async function configReport(quick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const cost = await validateCost(models, quick ? 3 : 9, dir, signal);
  return alignColumns([
    [`config of ${models} models`, 'median', 'goal', 'compared'],
    ['read and checked, warm', `${cost.loadMs.toFixed(0)} ms`, '', over(cost.loadOverParse, 'its YAML parsed')],
    ['its YAML parsed, warm', `${cost.parseMs.toFixed(0)} ms`, '', ''],
    ['gateway validate', `${cost.commandMs.toFixed(0)} ms`, '< 1000 ms', over(cost.commandOverEmpty, 'node -e 0')],
    ['gateway validate, one model', `${cost.smallMs.toFixed(0)} ms`, '', ''],
    ['node -e 0', `${cost.emptyMs.toFixed(0)} ms`, '', ''],
  ]);
}
