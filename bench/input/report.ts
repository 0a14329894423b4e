import { alignColumns } from '../report/table.ts';
import { readingCosts } from './reading-cost.ts';

const microseconds = (ns: number): string => (ns / 1000).toFixed(2);

/** What reading a body costs a request before it is routed: computed in this process, without any system beside it. */
export function inputReport(): readonly string[] {
  const rows = readingCosts().map(({ body, parsed, proved, ruled }) => [
    body,
    microseconds(parsed),
    microseconds(proved),
    microseconds(ruled),
    `${((proved + ruled) / parsed).toFixed(2)} ×`,
  ]);
  return alignColumns([['µs of CPU', 'JSON.parse', 'proved, model found', 'input rules', 'both ÷ JSON.parse'], ...rows]);
}
