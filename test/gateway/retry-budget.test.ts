import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetryBudget } from '../../src/gateway/retry-budget.ts';

test('three retries, or a fifth of the live requests, at a time', () => {
  for (const [live, expected] of [
    [1, 3],
    [15, 3],
    [100, 20],
  ] as const) {
    const budget = new RetryBudget();
    const taken = Array.from({ length: 200 }, () => budget.take(live)).filter(Boolean).length;
    assert.equal(taken, expected, `${live} live`);
    budget.giveBack();
    assert.deepEqual([budget.take(live), budget.take(live)], [true, false]);
  }
});
