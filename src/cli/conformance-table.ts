import type { ScenarioResult } from '../conformance/run.ts';
import { scenarios } from '../conformance/run.ts';

const words: Readonly<Record<ScenarioResult['kind'], string>> = { works: 'works', fails: 'does not', unshown: 'not shown' };

const width = Math.max(...scenarios.map(({ name }) => name.length));

/** One row of the table: the scenario, what it came to, and what was seen. */
export function conformanceLine({ name, kind, required, detail }: ScenarioResult): string {
  const mark = kind === 'fails' && !required ? `${words[kind]} (optional)` : words[kind];
  return `${name.padEnd(width)}  ${mark.padEnd(20)}  ${detail}\n`;
}
