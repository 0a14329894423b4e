import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../src/core/errors.ts';
import { adapterName, modelName } from '../../src/core/ids.ts';
import { type Waiter, WaitingRoom } from '../../src/gateway/waiting-room.ts';
import { ManualClock } from '../support/manual-clock.ts';

function room() {
  const clock = new ManualClock();
  const said: string[] = [];
  const demands: string[] = [];
  let places = 0;
  const waiter = (name: string, model = 'm', picky = false, adapter?: string): Waiter => ({
    model: modelName(model),
    adapter: adapter === undefined ? undefined : adapterName(adapter),
    picky,
    tryLeave: () => {
      if (places === 0) return false;
      places -= 1;
      said.push(`${name} left`);
      return true;
    },
    expire: () => said.push(`${name} expired`),
    refuse: ({ code }) => said.push(`${name} refused: ${code}`),
  });
  return {
    clock,
    said,
    waiter,
    waiting: new WaitingRoom(clock, (model, adapter, waits) => demands.push(`${model}:${adapter} ${waits}`)),
    demands,
    free: (count: number) => (places = count),
  };
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
    assert.equal(waiting.isOpen(modelName('m'), undefined), true);
    for (const name of ['a', 'b']) waiting.enter(waiter(name), 1000);
    assert.equal(waiting.isOpen(modelName('m'), undefined), false);
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
      adapter: undefined,
      picky: false,
      tryLeave: () => {
        tries += 1;
        if (tries < 5) queueBack();
        return true;
      },
      expire: () => undefined,
      refuse: () => undefined,
    };
    const queueBack = (): void => waiting.enter({ ...stubborn, tryLeave: () => false }, 1000);
    waiting.enter(stubborn, 1000);
    waiting.wakeAll();
    assert.equal(tries, 1);
    assert.equal(waiting.waiting(modelName('m')), 1);
    waiting.leave(stubborn);
  });

  test('who waits for an adapter is not held up by others, holds nobody up, and is told apart in the order of all', () => {
    const { waiting, waiter, said, demands } = room();
    const able = new Set<string>();
    const enter = (name: string, adapter?: string): void => {
      const tryLeave = (): boolean => able.has(name) && said.push(name) > 0;
      waiting.enter({ ...waiter(name, 'm', false, adapter), tryLeave }, 1000);
    };
    enter('a1', 'a');
    enter('base1');
    enter('b1', 'b');
    enter('a2', 'a');
    enter('base2');
    assert.equal(waiting.waiting(modelName('m')), 5);
    assert.equal(waiting.waitingAlike(modelName('m'), adapterName('a')), 2);
    assert.deepEqual(
      [undefined, adapterName('a'), adapterName('c')].map((adapter) => waiting.isOpen(modelName('m'), adapter)),
      [false, false, true],
    );
    for (const name of ['base2', 'base1', 'a2', 'b1']) able.add(name);
    waiting.wake(modelName('m'));
    assert.deepEqual(said, ['base1', 'b1', 'base2'], 'a2 is behind a1');
    able.add('a1');
    waiting.wakeAll();
    assert.deepEqual(said.slice(3), ['a1', 'a2']);
    assert.deepEqual(demands, ['m:a true', 'm:b true', 'm:b false', 'm:a false']);
  });

  test('an adapter that will not come is refused to those who wait for it, and to nobody else', () => {
    const { waiting, waiter, said, clock, demands } = room();
    waiting.enter(waiter('a1', 'm', false, 'a'), 1000);
    waiting.enter(waiter('base'), 1000);
    waiting.enter(waiter('a2', 'm', false, 'a'), 1000);
    waiting.refuse(modelName('m'), adapterName('a'), new GatewayError('adapter_not_found', 'no such adapter'));
    assert.deepEqual(said, ['a1 refused: adapter_not_found', 'a2 refused: adapter_not_found']);
    assert.equal(waiting.waiting(modelName('m')), 1);
    assert.equal(clock.pending, 1);
    assert.deepEqual(demands, ['m:a true', 'm:a false']);
  });
});
