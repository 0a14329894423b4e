import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { median, pairedRatio, percentile } from '../../bench/measure/statistics.ts';

describe('percentile', () => {
  for (const { samples, fraction, expected } of [
    { samples: [7], fraction: 0.99, expected: 7 },
    { samples: [3, 1, 2], fraction: 0.5, expected: 2 },
    { samples: [4, 1, 2, 3], fraction: 0.5, expected: 2.5 },
    { samples: [10, 20], fraction: 0.25, expected: 12.5 },
    { samples: [5, 9, 1], fraction: 0, expected: 1 },
    { samples: [5, 9, 1], fraction: 1, expected: 9 },
  ]) {
    test(`${fraction} of ${JSON.stringify(samples)} is ${expected}`, () => {
      assert.equal(percentile(samples, fraction), expected);
    });
  }

  test('needs a sample', () => {
    assert.throws(() => percentile([], 0.5), RangeError);
  });

  test('lies between the extremes, grows with the fraction, and leaves the samples in their order', () => {
    const samples = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 });
    const fraction = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(samples, fraction, fraction, (values, one, other) => {
        const before = [...values];
        const low = percentile(values, Math.min(one, other));
        const high = percentile(values, Math.max(one, other));
        assert.ok(Math.min(...values) - 1e-6 <= low && low <= high + 1e-6 && high <= Math.max(...values) + 1e-6);
        assert.deepEqual(values, before);
      }),
    );
  });
});

test('the median of an even number of rounds is the middle of the two in the middle', () => {
  assert.equal(median([8, 2, 4, 100]), 6);
});

describe('pairedRatio', () => {
  test('compares round by round: a slow round that meets both changes nothing', () => {
    assert.deepEqual(pairedRatio([12, 120, 12], [10, 100, 10]), { median: 1.2, lowest: 1.2, highest: 1.2 });
  });

  test('gives the range of the rounds', () => {
    assert.deepEqual(pairedRatio([1, 2, 6], [1, 1, 2]), { median: 2, lowest: 1, highest: 3 });
  });

  for (const [what, over, under] of [
    ['the first was not measured', undefined, [1]],
    ['the second was not measured', [1], undefined],
    ['there is no round', [], []],
    ['a divisor is zero', [1, 1], [1, 0]],
    ['a divisor is below zero', [1], [-1]],
  ] as const) {
    test(`is undefined where ${what}`, () => {
      assert.equal(pairedRatio(over, under), undefined);
    });
  }
});
