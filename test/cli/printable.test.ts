import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { printable } from '../../src/cli/printable.ts';

const anyText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)),
    fc.string(),
  ),
});

describe('what may go to a terminal', () => {
  for (const [what, text, shown] of [
    ['a colour', 'a\u001B[31mred', 'a[31mred'],
    ['a title', '\u001B]0;owned\u0007x', ']0;ownedx'],
    ['a clipboard, by C1', '\u009D52;c;aGk=\u009C', '52;c;aGk='],
    ['a line written over', 'safe\rrm -rf', 'saferm -rf'],
    ['a word turned around', 'a\u202Ecod.exe', 'acod.exe'],
  ] as const) {
    it(`has no ${what}`, () => assert.equal(printable(text), shown));
  }

  it('keeps lines, tabs and every script', () => {
    const text = 'a\tb\n日本語 עברית é 👩‍👩‍👧';
    assert.equal(printable(text), text);
  });

  it('is free of control characters, however it is cut', () => {
    fc.assert(
      fc.property(anyText, anyText, (left, right) => {
        assert.doesNotMatch(printable(left + right), /[^\P{Cc}\t\n]/u);
        assert.equal(printable(left) + printable(right), printable(left + right));
      }),
    );
  });
});
