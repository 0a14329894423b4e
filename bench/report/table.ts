import { median, pairedRatio, type Ratio } from '../measure/statistics.ts';
import { systemNames, systemTitles, type SystemName } from '../systems/system.ts';
import { metrics, type Measurements } from './measurements.ts';

/** Pairs whose ratio is shown, where both were measured. */
const pairs: readonly (readonly [SystemName, SystemName])[] = [
  ['relay', 'nginx'],
  ['roundhouse', 'nginx'],
  ['roundhouse', 'relay'],
  ['roundhouse', 'smg'],
  ['roundhouse', 'litellm'],
];

/** Rows of cells → lines: the first column to the left, numbers to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** The median of the rounds for each system that was measured, and the ratios. */
export function resultTable(results: Measurements): readonly string[] {
  const systems = systemNames.filter((system) => [...results.values()].some((bySystem) => bySystem.has(system)));
  const shownPairs = pairs.filter((pair) => pair.every((system) => systems.includes(system)));
  const head = [
    'median of the rounds',
    ...systems.map((system) => systemTitles[system]),
    ...shownPairs.map(([over, under]) => `${systemTitles[over]} ÷ ${systemTitles[under]}`),
  ];
  const rows = metrics.flatMap(({ name, title, digits, compared }) => {
    const bySystem = results.get(name);
    if (bySystem === undefined) return [];
    const values = systems.map((system) => number(bySystem.get(system), digits));
    const ratios = shownPairs.map(([over, under]) => (compared ? ratio(pairedRatio(bySystem.get(over), bySystem.get(under))) : ''));
    return [[title, ...values, ...ratios]];
  });
  return alignColumns([head, ...rows]);
}

function number(rounds: readonly number[] | undefined, digits: number): string {
  return rounds === undefined || rounds.length === 0 ? '–' : median(rounds).toFixed(digits);
}

function ratio(value: Ratio | undefined): string {
  return value === undefined ? '–' : `${value.median.toFixed(2)}×`;
}
