import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readErrorReply } from '../../src/plugins/error-reply.ts';
import type { ErrorReply } from '../../src/plugins/error-reply.ts';
import { readSeries } from '../../src/plugins/prometheus.ts';
import { readModelIds } from '../../src/plugins/served-models.ts';

const bodies: readonly (readonly [string, number, string, ErrorReply])[] = [
  [
    'an error object',
    400,
    '{"error":{"message":"no","type":"t","param":"p","code":"c"}}',
    { message: 'no', type: 't', param: 'p', code: 'c' },
  ],
  ['nulls and numbers', 400, '{"error":{"message":"no","type":null,"param":null,"code":400}}', { message: 'no' }],
  ['an error string', 401, '{"error":"Unauthorized"}', { message: 'Unauthorized' }],
  ['a flat error', 400, '{"object":"error","message":"no","type":"T","param":null,"code":400}', { message: 'no', type: 'T' }],
  ['a detail', 404, '{"detail":"Not Found"}', { message: 'Not Found' }],
  ['a structured detail', 422, '{"detail":[{"loc":["x"]}]}', { message: 'The engine answered 422: {"detail":[{"loc":["x"]}]}' }],
  ['an error object without a message', 500, '{"error":{"reason":"x"}}', { message: 'The engine answered 500: {"error":{"reason":"x"}}' }],
  ['HTML', 502, '<html>\n<h1>Bad  Gateway</h1></html>', { message: 'The engine answered 502: Bad Gateway' }],
  ['text', 500, 'Internal Server Error', { message: 'The engine answered 500: Internal Server Error' }],
  ['nothing', 500, '', { message: 'The engine answered 500 without a reason.' }],
  ['JSON that is no object', 500, '[1]', { message: 'The engine answered 500: [1]' }],
];
for (const [name, status, body, expected] of bodies) {
  test(`an error body with ${name}`, () => assert.deepEqual(readErrorReply(status, body), expected));
}

test('no error body, whatever it is, becomes a long message or an exception', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 10_000 }), fc.json()), (body) => {
      const { message } = readErrorReply(500, body);
      assert.ok(message !== '');
    }),
  );
  for (const body of ['<'.repeat(65_536), `{"detail":${'['.repeat(30_000)}${']'.repeat(30_000)}}`]) {
    assert.ok(readErrorReply(500, body).message.length < 2200);
  }
  assert.ok(readErrorReply(500, 'x '.repeat(20_000)).message.length < 2200);
});

test('series are read by exact name, and summed over their labels', () => {
  const page = [
    '# HELP a:waiting Waiting',
    '# TYPE a:waiting gauge',
    'a:waiting 3',
    'a:waiting_by_reason{reason="x"} 7',
    'a:running{engine="0",path="{}"} 1.5 1700000000',
    'a:running{engine="1"} 2e1',
    'a:broken',
    'a:nan NaN',
    '',
  ].join('\n');
  assert.deepEqual(
    [...readSeries(page)],
    [
      ['a:waiting', 3],
      ['a:waiting_by_reason', 7],
      ['a:running', 21.5],
    ],
  );
});

test('model ids are read from a model list and from nothing else', () => {
  assert.deepEqual(readModelIds({ object: 'list', data: [{ id: 'a/b:c' }, { id: 5 }, null, { id: 'd' }] }), ['a/b:c', 'd']);
  for (const body of [undefined, null, 'x', [], {}, { data: {} }]) assert.deepEqual(readModelIds(body), []);
});
