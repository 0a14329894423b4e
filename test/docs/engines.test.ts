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

function render(reports: readonly KeptReport[]): string {
  const kinds = (name: string): string[] =>
    reports.map(({ results }) => {
      const result = results.find((candidate) => candidate.name === name);
      return result === undefined ? 'not run' : words[result.kind];
    });
  const table = [
    ['scenario', ...reports.map(({ engine, version }) => `${engine} ${version}`)],
    ['---', ...reports.map(() => '---')],
    ...scenarios.map(({ name, title }) => [`\`${name}\`: ${cell(title)}`, ...kinds(name)]),
  ];
  const rows = table.map((cells) => `| ${cells.join(' | ')} |`);
  const reasons = reports.map(({ engine, version, model, results }) => {
    const lines = results
      .filter(({ kind }) => kind !== 'works')
      .map(({ name, kind, detail }) => `- \`${name}\` ${words[kind]}: ${cell(detail).replaceAll(/([<>*_`])/g, '\\$1')}`);
    return [`### ${engine} ${version}, ${model}`, '', ...lines].join('\n');
  });
  return [begin, '', ...rows, '', ...reasons.flatMap((text) => [text, '']), end].join('\n');
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
