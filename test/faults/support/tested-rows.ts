import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { RowNumber } from './catalogue.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Where each row is tested, as paths from the repository's root, in the order of the files. The runner itself knows only `row.ts`. */
export async function testedRows(): Promise<readonly { readonly number: RowNumber; readonly file: string }[]> {
  const names = (await readdir(`${root}test/faults`)).filter((name) => name.endsWith('.test.ts'));
  const rows = names.map(async (name) => {
    const file = `test/faults/${name}`;
    const calls = (await readFile(root + file, 'utf8')).matchAll(/^row\(\s*(\d+),/gmu);
    return [...calls].map(([, number]) => ({ number: Number(number) as RowNumber, file }));
  });
  return (await Promise.all(rows)).flat();
}
