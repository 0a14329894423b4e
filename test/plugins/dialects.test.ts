import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialects } from '../../src/plugins/dialects.ts';
import { engines } from '../../src/plugins/registry.ts';

test('the workers have the dialect of every engine', () => {
  assert.ok(engines.size > 0);
  assert.deepEqual(new Set(dialects.keys()), new Set(engines.keys()));
  for (const [name, { dialect }] of engines) assert.equal(dialects.get(name), dialect);
});
