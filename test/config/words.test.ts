import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { didYouMean, editDistance, nearest } from '../../src/core/did-you-mean.ts';
import { interpolate, numberOrBoolean, spelledOut } from '../../src/config/interpolate.ts';
import { describe as describeValue, formatPath, formatProblem } from '../../src/config/problems.ts';

describe('nearest', () => {
  const words = ['num_replicas', 'max_ongoing_requests', 'max_queued_requests', 'listen', 'log'];
  for (const [word, expected] of [
    ['num_replica', 'num_replicas'],
    ['num-replicas', 'num_replicas'],
    ['NUM_REPLICAS', 'num_replicas'],
    ['nmu_replicas', 'num_replicas'],
    ['max_ongoing_request', 'max_ongoing_requests'],
    ['lisen', 'listen'],
    ['lgo', 'log'],
    ['host', undefined],
    ['', undefined],
    ['x'.repeat(5000), undefined],
  ] as const) {
    it(`${word.slice(0, 20)} is near to ${expected}`, () => assert.equal(nearest(word, words), expected));
  }
  it('is put into words', () => {
    assert.equal(didYouMean('lisen', words), '; did you mean "listen"?');
    assert.equal(didYouMean('zebra', words), '');
  });
});

describe('editDistance', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
    ['abc', 'abc', 0],
  ] as const) {
    it(`from ${a} to ${b} is ${distance}`, () => assert.equal(editDistance(a, b), distance));
  }
  it('is the same both ways, zero only between equals, and at most the longer length', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        assert.equal(distance, editDistance(b, a));
        assert.equal(distance === 0, a === b);
        assert.ok(distance <= Math.max(a.length, b.length));
      }),
    );
  });
});

describe('interpolate', () => {
  const env = { A: 'one', E: '', D: '${A}' };
  for (const [text, expected] of [
    ['${A}', 'one'],
    ['x ${A} y ${A}', 'x one y one'],
    ['${E}', ''],
    ['${E:-two}', 'two'],
    ['${X:-}', ''],
    ['${X:-a:b -c}', 'a:b -c'],
    ['${A:-two}', 'one'],
    ['${A:?needed}', 'one'],
    ['${D}', '${A}'],
    ['$${A}', '${A}'],
    ['$$${A}', '$${A}'],
  ] as const) {
    it(`${text} becomes ${expected}`, () =>
      assert.deepEqual([interpolate(text, env)?.text, interpolate(text, env)?.problems], [expected, []]));
  }
  for (const [text, problem] of [
    ['${X}', 'environment variable X is not set; set it, or give a default: ${X:-…}'],
    ['${E:?}', 'environment variable E is not set: it is required'],
    ['${X:?the key}', 'environment variable X is not set: the key'],
    ['${}', 'expected ${NAME}'],
    ['${A', 'expected ${NAME}'],
    ['${A-b}', 'expected ${NAME}'],
  ] as const) {
    it(`${text} is refused`, () => assert.ok(interpolate(text, env)?.problems[0]?.startsWith(problem)));
  }
  for (const text of ['', 'plain', '$A', '$', '{A}', '$ {A}']) {
    it(`${JSON.stringify(text)} has nothing to fill in`, () => assert.equal(interpolate(text, env), undefined));
  }
  it('knows whether there is nothing but the variable', () => {
    assert.deepEqual(
      ['${A}', ' ${A}', '${A}${A}', '$${A}'].map((text) => interpolate(text, env)?.whole),
      [true, false, false, false],
    );
  });
  it('puts any value in as it is', () => {
    fc.assert(fc.property(fc.string(), (value) => assert.equal(interpolate('<${V}>', { V: value })?.text, `<${value}>`)));
  });
});

describe('text that spells a number or boolean', () => {
  for (const [text, value] of [
    ['1', 1],
    ['-2.50', -2.5],
    ['1e3', 1000],
    ['true', true],
    ['false', false],
    ['', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['Infinity', undefined],
    ['True', undefined],
  ] as const) {
    it(`${JSON.stringify(text)} is ${value}`, () => assert.equal(numberOrBoolean(text), value));
  }
  it('is kept as text where a number would not be written back the same', () => {
    assert.deepEqual(['1', '007', '1e5', '1.50', '123456789012345678901234567890', 'true'].map(spelledOut), [
      1,
      '007',
      '1e5',
      '1.50',
      '123456789012345678901234567890',
      true,
    ]);
  });
});

describe('problems', () => {
  it('show paths as people write them', () => {
    assert.equal(formatPath(['applications', 0, 'args', 'a.b', 2, 'c-d']), 'applications[0].args["a.b"][2].c-d');
    assert.equal(formatPath([]), '');
  });
  it('are one line each', () => {
    assert.equal(formatProblem({ file: 'a.yaml', line: 1, column: 2, path: 'x', message: 'y' }), 'a.yaml:1:2: x: y');
    assert.equal(formatProblem({ file: 'a.yaml', line: 1, column: 2, path: '', message: 'y' }), 'a.yaml:1:2: y');
  });
  it('show values shortly', () => {
    assert.deepEqual([null, undefined, [1], { a: 1 }, 1, true, 'x\n', 'y'.repeat(100)].map(describeValue), [
      'nothing',
      'nothing',
      'a list',
      'a mapping',
      '1',
      'true',
      '"x\\n"',
      `"${'y'.repeat(57)}..."`,
    ]);
  });
});
