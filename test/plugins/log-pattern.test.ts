import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause, firstSign, phase } from '../../src/plugins/log-pattern.ts';

const patterns = [
  phase(/^loading/u, 'loading'),
  cause(/out of memory/u, 'out of memory', 'Lower it.', false),
  cause(/no such option (\S+)/u, 'unknown option $1', 'Correct it.', true),
  cause(/adapter (\S+)/u, "LoRA adapter unusable: '$1'", 'Check it.', true),
  cause(/architecture (\S+)/u, 'architecture $1 not supported', 'Take another.', true),
  cause(/^error: (.+)/u, '$1', 'Correct it.', true),
];

function told(line: string): readonly (string | undefined)[] {
  const sign = firstSign(patterns, line);
  assert.ok(sign?.kind === 'cause');
  return [sign.cause, sign.topic];
}

test('a cause names what its line says, and its topic is the same for every line of its kind', () => {
  assert.deepEqual(told('CUDA out of memory: 2 GiB'), ['out of memory', 'out of memory']);
  assert.deepEqual(told('no such option --foo'), ['unknown option --foo', 'unknown option']);
  assert.deepEqual(told('adapter /a/b'), ["LoRA adapter unusable: '/a/b'", 'LoRA adapter unusable']);
  assert.deepEqual(told('architecture X'), ['architecture X not supported', 'architecture not supported']);
  assert.deepEqual(told('error: anything at all'), ['anything at all', 'other']);
});

test('the first pattern decides; a line that none knows tells nothing', () => {
  assert.deepEqual(firstSign(patterns, 'loading, out of memory'), { kind: 'phase', phase: 'loading' });
  assert.equal(firstSign(patterns, 'all is well'), undefined);
});
