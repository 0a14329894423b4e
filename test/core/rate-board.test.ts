import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RateBoard } from '../../src/core/rate-board.ts';

const second = 1_000_000_000n;

function boardAt(): { board: RateBoard; pass: (ns: bigint) => void } {
  let now = 5n * second;
  return { board: RateBoard.create(2, () => now), pass: (ns) => void (now += ns) };
}

describe('a rate', () => {
  test('gives a minute’s worth at once, then one each time it has trickled back, and says when', () => {
    const { board, pass } = boardAt();
    for (const left of [2, 1, 0])
      assert.deepEqual(board.take(7, 'requests', 1, 3), { kind: 'taken', remaining: left, resetMs: (3 - left) * 20_000 });
    assert.deepEqual(board.take(7, 'requests', 1, 3), { kind: 'refused', retryMs: 20_000, remaining: 0, resetMs: 60_000 });
    pass(20n * second - 1n);
    assert.equal(board.take(7, 'requests', 1, 3).kind, 'refused');
    pass(1n);
    assert.equal(board.take(7, 'requests', 1, 3).kind, 'taken');
    assert.equal(board.take(7, 'requests', 1, 3).kind, 'refused');
    pass(600n * second);
    assert.equal(board.take(7, 'requests', 1, 3).remaining, 2, 'no more than a minute’s worth is saved up');
  });

  test('is one for each key and kind, and all that has a look at the memory sees it', () => {
    const { board } = boardAt();
    const other = new RateBoard(board.buffer, 2, () => 5n * second);
    board.take(1, 'requests', 1, 1);
    assert.equal(other.take(1, 'requests', 1, 1).kind, 'refused');
    assert.equal(other.take(1, 'tokens', 1, 1).kind, 'taken');
    assert.equal(other.take(2, 'requests', 1, 1).kind, 'taken');
    board.clearSeat(1);
    assert.equal(other.take(1, 'requests', 1, 1).kind, 'taken');
  });

  test('is settled: more than was reserved makes the next ones wait, less is given back', () => {
    const { board, pass } = boardAt();
    board.take(0, 'tokens', 10, 100);
    board.settle(0, 'tokens', 140, 100);
    assert.deepEqual(board.take(0, 'tokens', 1, 100), { kind: 'refused', retryMs: 30_600, remaining: 0, resetMs: 90_000 });
    pass(60n * second);
    assert.equal(board.take(0, 'tokens', 50, 100).remaining, 0);
    board.settle(0, 'tokens', -20, 100);
    assert.equal(board.take(0, 'tokens', 0, 100).remaining, 20);
  });

  test('in any minute no more than two minutes’ worth is taken, and nothing is refused that fits', () => {
    const step = fc.record({ after: fc.bigInt({ min: 0n, max: 30n * second }), cost: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
        const { board, pass } = boardAt();
        let at = 0n;
        const taken: { at: bigint; cost: number }[] = [];
        for (const { after, cost } of steps) {
          pass(after);
          at += after;
          const result = board.take(3, 'tokens', cost, limit);
          if (result.kind === 'taken') taken.push({ at, cost });
          else if (cost <= limit) {
            pass(BigInt(result.retryMs) * 1_000_000n);
            at += BigInt(result.retryMs) * 1_000_000n;
            assert.equal(board.take(3, 'tokens', cost, limit).kind, 'taken', 'after retryMs it fits');
            taken.push({ at, cost });
          }
        }
        for (const { at: from } of taken) {
          const inMinute = taken.filter((one) => one.at >= from && one.at - from < 60n * second);
          assert.ok(inMinute.reduce((sum, { cost }) => sum + cost, 0) <= 2 * limit);
        }
      }),
    );
  });
});

test('requests at work are counted over all workers, and a dead worker’s are forgotten', () => {
  const { board } = boardAt();
  assert.deepEqual([board.enter(0, 4, 2), board.enter(1, 4, 2), board.enter(0, 4, 2), board.enter(0, 5, 1)], [true, true, false, true]);
  board.leave(0, 4);
  assert.equal(board.enter(1, 4, 2), true);
  assert.equal(board.enter(0, 4, 2), false);
  board.clearWorker(1);
  assert.deepEqual([board.enter(0, 4, 2), board.enter(0, 4, 2), board.enter(0, 4, 2)], [true, true, false]);
});
