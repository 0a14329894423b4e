import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LoadBoard } from '../../src/core/board.ts';
import { slot } from '../../src/core/ids.ts';

describe('LoadBoard', () => {
  test('sums over workers, slot by slot', () => {
    const board = LoadBoard.create(2, 3);
    board.add(0, slot(1), 1);
    board.add(1, slot(1), 1);
    board.add(1, slot(2), 1);
    board.add(1, slot(2), -1);
    assert.deepEqual(
      [0, 1, 2].map((at) => board.read(slot(at))),
      [0, 2, 0],
    );
    assert.deepEqual(
      [0, 1, 2].map((at) => board.glance(slot(at))),
      [0, 2, 0],
    );
  });

  test('sums over all slots', () => {
    const board = LoadBoard.create(2, 3);
    assert.equal(board.total(), 0);
    board.add(0, slot(0), 1);
    board.add(1, slot(2), 1);
    board.add(1, slot(2), 1);
    board.moved(0, slot(1));
    board.bumpEpoch();
    assert.equal(board.total(), 3);
  });

  test('progress and load do not mix', () => {
    const board = LoadBoard.create(1, 2);
    board.moved(0, slot(0));
    board.moved(0, slot(0));
    board.add(0, slot(1), 1);
    assert.deepEqual([board.read(slot(0)), board.readProgress(slot(0)), board.read(slot(1)), board.readProgress(slot(1))], [0, 2, 1, 0]);
  });

  test("forgets a dead worker's counts and leaves the others'", () => {
    const board = LoadBoard.create(3, 2);
    for (const worker of [0, 1, 2]) for (const at of [0, 1]) board.add(worker, slot(at), 1);
    board.clearWorker(1);
    assert.deepEqual([board.read(slot(0)), board.read(slot(1))], [2, 2]);
  });

  test('a bump wakes who sleeps on the epoch, also one that looked before it', async () => {
    const board = LoadBoard.create(1, 1);
    const seen = board.epoch();
    const woken = board.epochAfter(seen);
    board.bumpEpoch();
    assert.equal(await woken, seen + 1);
    assert.equal(await board.epochAfter(seen), seen + 1);
  });
});
