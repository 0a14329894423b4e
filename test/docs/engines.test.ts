import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scenarios } from '../../src/conformance/run.ts';
import { type KeptReport, reportsFolder } from '../support/conformance-report.ts';

const file = fileURLToPath(new URL('../../docs/engines.md', import.meta.url));
const [begin, end] = [
  '<!-- Made from docs/conformance: UPDATE_DOCS=1 node --test test/docs/engines.test.ts -->',
  '<!-- End of the made part -->',
];

const words = { works: 'works', fails: 'does not', unshown: 'not shown' } as const;

async function readReports(): Promise<readonly KeptReport[]> {
  const files = (await readdir(reportsFolder)).filter((name) => name.endsWith('.json')).toSorted();
  return await Promise.all(files.map(async (name) => JSON.parse(await readFile(join(reportsFolder, name), 'utf8')) as KeptReport));
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** A column of the table: an engine in one version, with its main run first and those in a setting of their own behind it. */
function byEngine(reports: readonly KeptReport[]): readonly (readonly KeptReport[])[] {
  const groups = Map.groupBy(reports, ({ engine, version }) => `${engine} ${version}`);
  return [...groups.values()].map((runs) => runs.toSorted((a, b) => Number(a.setting !== undefined) - Number(b.setting !== undefined)));
}

const titleOf = ({ engine, version }: KeptReport): string => `${engine} ${version}`;
const resultOf = (report: KeptReport, name: string): KeptReport['results'][number] | undefined =>
  report.results.find((result) => result.name === name);

function shownBy(runs: readonly KeptReport[], name: string): string {
  const run =
    runs.find((report) => resultOf(report, name)?.kind === 'works') ?? runs.find((report) => resultOf(report, name) !== undefined);
  if (run === undefined) return 'not run';
  const word = words[resultOf(run, name)?.kind ?? 'unshown'];
  return run.setting === undefined ? word : `${word} ${run.setting}`;
}

function reasons(runs: readonly KeptReport[]): string {
  const lines = runs.flatMap((run) =>
    run.results
      .filter(({ kind, name }) => kind !== 'works' && !shownBy(runs, name).startsWith(words.works))
      .map(({ name, kind, detail }) => `- \`${name}\` ${words[kind]}: ${cell(detail).replaceAll(/([<>*_`])/g, '\\$1')}`),
  );
  const models = runs.map(({ model, setting }) => (setting === undefined ? model : `${setting}: ${model}`)).join('; ');
  const title = runs.slice(0, 1).map(titleOf).join('');
  return [`### ${title}`, '', `${models}.`, '', ...lines].join('\n');
}

function render(reports: readonly KeptReport[]): string {
  const engines = byEngine(reports);
  const table = [
    ['scenario', ...engines.flatMap((runs) => runs.slice(0, 1).map(titleOf))],
    ['---', ...engines.map(() => '---')],
    ...scenarios.map(({ name, title }) => [`\`${name}\`: ${cell(title)}`, ...engines.map((runs) => shownBy(runs, name))]),
  ];
  const rows = table.map((cells) => `| ${cells.join(' | ')} |`);
  return [begin, '', ...rows, '', ...engines.flatMap((runs) => [reasons(runs), '']), end].join('\n');
}

test('docs/engines.md has what the kept runs of `gateway conformance` showed (UPDATE_DOCS=1 rewrites it)', async () => {
  const reports = await readReports();
  assert.ok(reports.length > 0);
  const text = await readFile(file, 'utf8');
  const [before, after] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end) + end.length)];
  const renewed = `${before}${render(reports)}${after}`;
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, renewed);
  else assert.equal(text, renewed, 'run UPDATE_DOCS=1 node --test test/docs/engines.test.ts');
  assert.doesNotMatch(renewed, /should work/);
});
