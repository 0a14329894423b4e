import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sections } from '../faults/support/catalogue.ts';
import { renderDocument } from '../faults/support/document.ts';
import { askedOf, askedText, lettersOf, type Oracle } from '../faults/support/oracle.ts';
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

/** Only the run knows what it asked after a row: the letters of the column before the last. */
function askedIn(written: string): ReadonlyMap<number, readonly Oracle[]> {
  const rows = written.matchAll(/^\| (\d+) \|.* \| ([a-f ]+|–) \| [^|]+ \|$/gmu);
  return new Map([...rows].map(([, number, asked]) => [Number(number), lettersOf(asked ?? '')]));
}

test('docs/faults.md is what a run in which every row holds writes', async () => {
  const written = await readFile(document, 'utf8');
  const asked = askedIn(written);
  const held = (await testedRows()).map(({ number, file }) => [number, { file, held: true, asked: asked.get(number) ?? [] }] as const);
  assert.equal(written, renderDocument(sections, new Map(held)));
});

test('docs/faults.md says of just those rows that memory was looked at (d) whose tests do so', async () => {
  const asked = askedIn(await readFile(document, 'utf8'));
  const flat = (await testedRows()).filter(({ source }) => /\bawait flat\(/u.test(source)).map(({ number }) => number);
  const told = [...asked].filter(([, letters]) => letters.includes('d')).map(([number]) => number);
  assert.deepEqual(told, ascending(flat));
});

test('what a row says that was asked after it is read again as it was meant; other diagnostics say nothing of it', () => {
  const asked: readonly Oracle[] = ['a', 'd', 'f'];
  assert.deepEqual(askedOf(askedText(26, new Set(asked.toReversed()))), { number: 26, asked });
  assert.deepEqual(askedOf(askedText(139, new Set())), { number: 139, asked: [] });
  assert.equal(askedOf('gone 5004 ms after SIGTERM, with a grace of 5000 ms'), undefined);
});
