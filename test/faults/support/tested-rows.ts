import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { RowNumber } from './catalogue.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface TestedRow {
  readonly number: RowNumber;
  /** Path from the repository's root. */
  readonly file: string;
  /** Its test, and what stands between it and the next one. */
  readonly source: string;
}

/** Where each row is tested, in the order of the files. The runner itself knows only `row.ts`. */
export async function testedRows(): Promise<readonly TestedRow[]> {
  const names = (await readdir(`${root}test/faults`)).filter((name) => name.endsWith('.test.ts'));
  const rows = names.map(async (name) => {
    const file = `test/faults/${name}`;
    const [, ...sources] = (await readFile(root + file, 'utf8')).split(/^row\(/mu);
    return sources.map((source) => ({ number: Number.parseInt(source, 10) as RowNumber, file, source }));
  });
  return (await Promise.all(rows)).flat();
}
