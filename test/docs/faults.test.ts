import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sections } from '../faults/support/catalogue.ts';
import { renderDocument } from '../faults/support/document.ts';
import { testedRows } from '../faults/support/tested-rows.ts';

const document = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));
const ascending = (numbers: readonly number[]): readonly number[] => numbers.toSorted((a, b) => a - b);

const span = (first: number, last: number): readonly number[] => Array.from({ length: last - first + 1 }, (_, at) => first + at);

test('no row is left out: neither of engines, routing and streams, nor of what else the catalogue has begun', () => {
  const numbers = sections.flatMap(({ rows }) => rows.map(({ number }) => number));
  assert.deepEqual(ascending(numbers), [...span(1, 154), 156, 158]);
});

test('every row of the catalogue has one test, or says why it has none', async () => {
  const tested = (await testedRows()).map(({ number }) => number);
  const expected = sections.flatMap(({ rows }) => rows.filter(({ fault }) => fault.untested === undefined).map(({ number }) => number));
  assert.deepEqual(ascending(tested), ascending(expected));
});

test('docs/faults.md is what a run in which every row holds writes', async () => {
  const held = (await testedRows()).map(({ number, file }) => [number, { file, held: true }] as const);
  assert.equal(await readFile(document, 'utf8'), renderDocument(sections, new Map(held)));
});
