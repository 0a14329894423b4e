import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { endOfLastEvent, EventBoundary, maxEventBytes } from '../../src/gateway/openai/event-boundary.ts';

function relay(chunks: readonly string[]): { given: string[]; done: boolean } {
  const boundary = new EventBoundary();
  const given = chunks.map((chunk) => boundary.push(Buffer.from(chunk))?.toString() ?? '');
  return { given, done: boundary.done };
}

describe('EventBoundary', () => {
  test('passes a whole event on as the bytes it came in', () => {
    const chunk = Buffer.from('data: {"a":1}\n\n');
    assert.equal(new EventBoundary().push(chunk), chunk);
  });

  test('holds an incomplete event back until its blank line', () => {
    assert.deepEqual(relay(['data: 1\n\ndata: ', '2\n', '\n']).given, ['data: 1\n\n', '', 'data: 2\n\n']);
  });

  test('knows the blank line in CRLF too', () => {
    assert.deepEqual(relay(['data: 1\r\n\r\ndata: 2\r\n', '\r\n']).given, ['data: 1\r\n\r\n', 'data: 2\r\n\r\n']);
  });

  const ends: readonly [text: string, done: boolean][] = [
    ['data: [DONE]\n\n', true],
    ['data: [DONE]\r\n\r\n', true],
    ['data: {"x":1}\n\ndata: [DONE]\n\n', true],
    ['data: {"x":"[DONE]"}\n\n', false],
    ['data: [1]\n\n', false],
    ['data: [DONE]\n', false],
  ];
  for (const [text, done] of ends) {
    test(`${JSON.stringify(text)} ${done ? 'ends' : 'does not end'} a stream`, () => assert.equal(relay([text]).done, done));
  }

  test('sees the end however it is cut', () => {
    const text = 'data: {"a":"é"}\n\n: ping\n\ndata: [DONE]\n\n';
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        const { given, done } = relay(places.slice(1).map((end, index) => text.slice(places[index], end)));
        assert.equal(given.join(''), text);
        assert.ok(given.every((bytes) => bytes === '' || bytes.endsWith('\n\n')));
        assert.equal(done, true);
      }),
    );
  });

  test('cuts events at the same places as a search in all that is left of the text would, with either line end', () => {
    const piece = fc.constantFrom('\n', '\r\n', '\r', 'a', 'data: x', '\n\n', '\r\n\r\n');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(100), { maxLength: 10 }), (pieces, cuts) => {
        const text = pieces.join('');
        const places = [0, ...cuts.filter((cut) => cut <= text.length).toSorted((a, b) => a - b), text.length];
        const boundary = new EventBoundary();
        let given = '';
        for (const [at, end] of places.slice(1).entries()) {
          const expected = given.length + endOfLastEvent(Buffer.from(text.slice(given.length, end)));
          given += boundary.push(Buffer.from(text.slice(places[at], end)))?.toString() ?? '';
          assert.equal(given.length, expected);
        }
        assert.equal(given, text.slice(0, given.length));
      }),
      { numRuns: 500 },
    );
  });

  test('puts an event of eight megabytes in 100,000 pieces together', () => {
    const boundary = new EventBoundary();
    const piece = Buffer.alloc(80, 'x');
    for (let count = 0; count < 100_000; count += 1) assert.equal(boundary.push(piece), undefined);
    assert.equal(boundary.push(Buffer.from('\n\n'))?.length, 8_000_002);
    assert.equal(boundary.push(Buffer.from('data: 1\n\n'))?.toString(), 'data: 1\n\n', 'and nothing of it is left');
  });

  test('refuses an event without end', () => {
    const boundary = new EventBoundary();
    assert.equal(boundary.push(Buffer.alloc(maxEventBytes, 'x')), undefined);
    assert.throws(() => boundary.push(Buffer.from('x')), RangeError);
  });
});
