import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { plainEnd, restart } from '../../src/gateway/openai/string-scan.ts';

/** As much of a body as is looked at at a time. */
const windowBytes = 64 * 1024;

/** The same by JavaScript's own regular expressions. */
function expectedEnd(bytes: Buffer, at: number): number {
  const [plain = ''] = /^(?:[ !#-[\]-\u00ff]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*/.exec(bytes.toString('latin1', at)) ?? [];
  return at + plain.length;
}

function endOf(bytes: Buffer, at: number): number {
  restart();
  return plainEnd(bytes, at);
}

/** `piece` with as much before it as `before`, and a little behind. */
const behind = (before: number, piece: string): Buffer => Buffer.from(`${'x'.repeat(before)}${piece}"tail`);

/** Goes on behind an escape that the end of what is looked at at a time cuts, as the scanner does. */
function skipWhole(bytes: Buffer): number {
  restart();
  for (let at = 0; ;) {
    const end = plainEnd(bytes, at);
    const escape = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(bytes.toString('latin1', end, end + 6));
    if (escape === null) return end;
    assert.ok(end >= windowBytes - 6 && end < windowBytes, `an escape at ${end} was not skipped`);
    at = end + escape[0].length;
  }
}

describe('plainEnd', () => {
  test('stops at a quote, a control character or a wrong escape, whatever stands before and behind', () => {
    const stops = ['"', '\u0000', '\u001f', '\n', '\\x', '\\u12g4', '\\U1234', '\\a', '\\[', '\\]', '\\v', '\\u', '\\0'];
    for (const stop of stops) {
      for (let before = 0; before < 40; before += 1) assert.equal(endOf(behind(before, stop), 0), before, JSON.stringify({ stop, before }));
    }
  });

  test('goes over each escape and each other byte', () => {
    const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c);
    const escapes = String.raw`\"\\\/\b\f\n\r\t\u0000\uabcd\uABCD\ud83d\ude00\u09Af`;
    const bytes = Buffer.concat([Buffer.from(others), Buffer.from(escapes), Buffer.from(others)]);
    assert.equal(endOf(bytes, 0), bytes.length);
  });

  test('is right wherever the end of what is looked at at a time falls', () => {
    for (const piece of [String.raw`\u00e9`, String.raw`\n`, String.raw`\"`, String.raw`\\`, '', '"', '\u0001', String.raw`\u00zz`]) {
      for (let before = windowBytes - 20; before < windowBytes + 4; before += 1) {
        const bytes = behind(before, piece);
        const whole = skipWhole(bytes);
        assert.equal(whole, expectedEnd(bytes, 0), JSON.stringify({ piece, before }));
      }
    }
  });

  test('looks at a body of many times as much as it holds, from place to place and back', () => {
    const bytes = Buffer.alloc(5 * windowBytes + 17, 'y');
    const quotes = [0, 15, 16, windowBytes - 1, windowBytes, 3 * windowBytes + 5, bytes.length - 1];
    for (const at of quotes) bytes[at] = 0x22;
    restart();
    const found: number[] = [];
    for (let at = 0; at < bytes.length; at = (found.at(-1) ?? at) + 1) found.push(plainEnd(bytes, at));
    assert.deepEqual(found, quotes);
    assert.equal(plainEnd(bytes, 1), 15);
    assert.equal(plainEnd(bytes, bytes.length), bytes.length);
  });

  test('agrees with a regular expression on any bytes from any place', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom('\\', '"', 'u', '\\u', '\\n', '\\"', '\u0002', 'abcd', '0', 'x'.repeat(17)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.nat(100), (pieces, from) => {
        const bytes = Buffer.from(pieces.join(''));
        const at = Math.min(from, bytes.length);
        assert.equal(endOf(bytes, at), expectedEnd(bytes, at));
      }),
      { numRuns: 2000 },
    );
  });
});
