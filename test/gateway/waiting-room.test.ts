import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelName } from '../../src/core/ids.ts';
import { type Waiter, WaitingRoom } from '../../src/gateway/waiting-room.ts';
import { ManualClock } from '../support/manual-clock.ts';

function room() {
  const clock = new ManualClock();
  const said: string[] = [];
  let places = 0;
  const waiter = (name: string, model = 'm', picky = false): Waiter => ({
    model: modelName(model),
    picky,
    tryLeave: () => {
      if (places === 0) return false;
      places -= 1;
      said.push(`${name} left`);
      return true;
    },
    expire: () => said.push(`${name} expired`),
  });
  return { clock, said, waiter, waiting: new WaitingRoom(clock), free: (count: number) => (places = count) };
}

describe('WaitingRoom', () => {
  test('lets waiters leave in the order in which they came, as far as there are places', () => {
    const { waiting, waiter, said, free } = room();
    for (const name of ['a', 'b', 'c']) waiting.enter(waiter(name), 1000);
    free(2);
    waiting.wake(modelName('m'));
    assert.deepEqual(said, ['a left', 'b left']);
    assert.equal(waiting.waiting(modelName('m')), 1);
  });

  test('a waiter of another model is not held up', () => {
    const { waiting, waiter, said, free } = room();
    waiting.enter(waiter('a', 'full'), 1000);
    waiting.enter(waiter('b', 'm'), 1000);
    free(1);
    waiting.wake(modelName('m'));
    assert.deepEqual(said, ['b left']);
  });

  test('those behind one that cannot go everywhere may leave before it, and only then', () => {
    const { waiting, waiter, said, free } = room();
    const shy: Waiter = { ...waiter('shy', 'm', true), tryLeave: () => false };
    waiting.enter(shy, 1000);
    assert.equal(waiting.isOpen(modelName('m')), true);
    for (const name of ['a', 'b']) waiting.enter(waiter(name), 1000);
    assert.equal(waiting.isOpen(modelName('m')), false);
    free(1);
    waiting.wake(modelName('m'));
    assert.deepEqual(said, ['a left']);
    assert.equal(waiting.waiting(modelName('m')), 2);
  });

  test('expires a waiter when its time is up, and only then', async () => {
    const { waiting, waiter, said, clock } = room();
    waiting.enter(waiter('a'), 1000);
    await clock.advance(999);
    assert.deepEqual(said, []);
    await clock.advance(1);
    assert.deepEqual(said, ['a expired']);
    assert.equal(waiting.waiting(modelName('m')), 0);
  });

  test('leaves no timer behind', () => {
    const { waiting, waiter, clock, free } = room();
    const gone = waiter('a');
    waiting.enter(gone, 1000);
    waiting.enter(waiter('b'), 1000);
    waiting.leave(gone);
    waiting.leave(gone);
    free(1);
    waiting.wakeAll();
    assert.equal(clock.pending, 0);
  });

  test('a waiter that comes back while it is woken is not woken twice', () => {
    const { waiting } = room();
    let tries = 0;
    const stubborn: Waiter = {
      model: modelName('m'),
      picky: false,
      tryLeave: () => {
        tries += 1;
        if (tries < 5) queueBack();
        return true;
      },
      expire: () => undefined,
    };
    const queueBack = (): void => waiting.enter({ ...stubborn, tryLeave: () => false }, 1000);
    waiting.enter(stubborn, 1000);
    waiting.wakeAll();
    assert.equal(tries, 1);
    assert.equal(waiting.waiting(modelName('m')), 1);
    waiting.leave(stubborn);
  });
});
