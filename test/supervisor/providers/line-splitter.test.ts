import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter, lineLimit } from '../../../src/supervisor/providers/line-splitter.ts';

function split(...parts: readonly (string | Uint8Array)[]): string[] {
  const splitter = new LineSplitter();
  return [...parts.flatMap((part) => splitter.push(typeof part === 'string' ? Buffer.from(part) : part)), ...splitter.end()];
}

const cases: readonly [what: string, parts: readonly (string | Uint8Array)[], expected: readonly string[]][] = [
  ['lines, the last without an end', ['a\nb\r\nc'], ['a', 'b', 'c']],
  ['a line in pieces', ['a', 'b', 'c\nd'], ['abc', 'd']],
  ['a progress bar', ['10%\r20%\r30%\n'], ['10%', '20%', '30%']],
  ['colours, a window title, bells', ['\u001B[1;31mred\u001B[0m \u001B]0;title\u0007x\u0007\u0000y\tz\n'], ['red xy\tz']],
  ['a code point in two pieces', [Buffer.from([0x63, 0xc3]), Buffer.from([0xa9, 0x0a])], ['cé']],
  ['invalid UTF-8', [Buffer.from([0x61, 0xff, 0x62, 0x0a])], ['a\uFFFDb']],
  ['empty lines', ['\n\n\na\n\n'], ['a']],
];
for (const [what, parts, expected] of cases) test(`lines of ${what}`, () => assert.deepEqual(split(...parts), expected));

test('a line beyond the limit is passed on once, cut, and holds nothing up', () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.alloc(50_000, 'x');
  const seen = Array.from({ length: 40 }, () => splitter.push(chunk)).flat();
  assert.deepEqual(
    seen.map((line) => line.length),
    [lineLimit],
  );
  assert.deepEqual(splitter.push(Buffer.from('rest\nnext\n')), ['next']);
});

test('after a gap the torn line is not shown', () => {
  const splitter = new LineSplitter();
  splitter.push(Buffer.from('begin'));
  splitter.gap();
  assert.deepEqual(splitter.push(Buffer.from('middle\nwhole\n')), ['whole']);
});

test('property: any bytes, cut anywhere, give the same clean, bounded lines', () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(bytes, fc.array(fc.nat({ max: 400 }), { maxLength: 8 }), (all, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
      const parts = at.slice(1).map((end, index) => all.subarray(at[index] ?? 0, end));
      const lines = split(...parts);
      assert.deepEqual(lines, split(all));
      for (const line of lines) assert.doesNotMatch(line, /[^\P{Cc}\t]/u);
    }),
  );
});
