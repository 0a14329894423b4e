import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RequestDraft } from '../../src/plugins/request-draft.ts';
import { requestOf } from '../support/request.ts';

test('what no change touches keeps its bytes, digits beyond 2^53 among them', () => {
  const draft = new RequestDraft(requestOf('chat', '{ "a" : 9223372036854775807 , "model":"x", "z": [1.0 , 2e1]}'));
  draft.set('model', 'y');
  draft.set('new', true);
  assert.equal(Buffer.from(draft.toRequest().body).toString(), '{"a" : 9223372036854775807,"model":"y","z": [1.0 , 2e1],"new":true}');
});

test('a body without a change is the very same object', () => {
  const request = requestOf('chat', '{"a":1}');
  const draft = new RequestDraft(request);
  draft.leaveOut('b');
  assert.equal(draft.get('a'), 1);
  assert.equal(draft.toRequest().body, request.raw);
});

test('leaving out and setting any members gives the object that the same changes give', () => {
  const key = fc.constantFrom('a', 'b"', '\\u', '', 'é');
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.jsonValue()),
      fc.array(fc.tuple(key, fc.option(fc.jsonValue(), { nil: undefined }))),
      (object, changes) => {
        const draft = new RequestDraft(requestOf('chat', JSON.stringify(object)));
        const expected: Record<string, unknown> = JSON.parse(JSON.stringify(object)) as Record<string, unknown>;
        for (const [name, value] of changes) {
          if (value === undefined) {
            draft.leaveOut(name);
            Reflect.deleteProperty(expected, name);
          } else {
            draft.set(name, value);
            expected[name] = JSON.parse(JSON.stringify(value));
          }
          assert.equal(draft.has(name), name in expected);
        }
        assert.deepEqual(JSON.parse(Buffer.from(draft.toRequest().body).toString()), expected);
      },
    ),
  );
});
