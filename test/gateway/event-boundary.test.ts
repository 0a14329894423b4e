import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EventBoundary, maxEventBytes } from '../../src/gateway/openai/event-boundary.ts';

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

  test('refuses an event without end', () => {
    const boundary = new EventBoundary();
    assert.equal(boundary.push(Buffer.alloc(maxEventBytes, 'x')), undefined);
    assert.throws(() => boundary.push(Buffer.from('x')), RangeError);
  });
});
