import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { fakeModel, startGateway } from '../support/gateway-process.ts';

const file = fileURLToPath(new URL('../../docs/metrics.md', import.meta.url));
const from = '<!-- from a gateway’s own page -->\n';

interface Series {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

/** What a page of Prometheus's text format says of its series, in order of their names. */
function seriesOf(page: string): readonly Series[] {
  const types = new Map([...page.matchAll(/^# TYPE (\S+) (\S+)$/gmu)].map(([, name = '', type = '']) => [name, type]));
  return [...page.matchAll(/^# HELP (\S+) (.*)$/gmu)]
    .map(([, name = '', help = '']) => ({ name, help, type: types.get(name) ?? '' }))
    .filter(({ name }) => name.startsWith('roundhouse_'))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

const table = (series: readonly Series[]): string =>
  [
    '| series | type | what |',
    '| --- | --- | --- |',
    ...series.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`),
    '',
  ].join('\n');

test('docs/metrics.md names every series that a gateway shows, and no other', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m')]);
  await gateway.post({ model: 'm', messages: [{ role: 'user', content: 'one' }] }).then((reply) => reply.text());
  const series = seriesOf(await gateway.metrics());
  assert.ok(series.length > 20);
  const [head = ''] = (await readFile(file, 'utf8')).split(from);
  const rendered = `${head}${from}\n${table(series)}`;
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, rendered);
  assert.equal(await readFile(file, 'utf8'), rendered);
});
