import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Slot } from '../../src/core/ids.ts';
import { Slots } from '../../src/supervisor/slots.ts';
import { StartQueue } from '../../src/supervisor/start-queue.ts';
import type { Turn } from '../../src/supervisor/start-queue.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

const never = new AbortController().signal;

function setUp(
  slotCount: number,
  parallel: number,
): { clock: ManualClock; slots: Slots; queue: StartQueue; granted: Turn[]; readonly ask: (signal?: AbortSignal) => Promise<void> } {
  const clock = new ManualClock();
  const slots = new Slots(slotCount);
  const queue = new StartQueue(clock, slots, { parallel, longestMs: 60_000 });
  const granted: Turn[] = [];
  return { clock, slots, queue, granted, ask: async (signal = never) => void granted.push(await queue.take(signal)) };
}

test('only so many start at once, in the order they asked', async () => {
  const { queue, granted, ask, clock } = setUp(10, 2);
  const asked = [ask(), ask(), ask(), ask()];
  await settle();
  assert.deepEqual(
    granted.map(({ slot }) => slot as number),
    [0, 1],
  );
  granted[1]?.started();
  granted[1]?.started();
  await settle();
  assert.deepEqual(
    granted.map(({ slot }) => slot as number),
    [0, 1, 2],
    'one place, one grant',
  );
  granted[0]?.started();
  await Promise.all(asked);
  for (const turn of granted) turn.started();
  assert.equal(clock.pending, 0, 'a timer is left');
  queue.wake();
});

test('a start that takes very long lets the next one start', async () => {
  const { clock, granted, ask } = setUp(10, 1);
  const asked = [ask(), ask()];
  await clock.advance(59_999);
  assert.equal(granted.length, 1);
  await clock.advance(1);
  await Promise.all(asked);
  assert.equal(granted.length, 2);
});

test('who gives up waiting is passed over', async () => {
  const { granted, ask } = setUp(10, 1);
  const giveUp = new AbortController();
  const first = ask();
  const second = assert.rejects(ask(giveUp.signal), { message: 'enough' });
  const third = ask();
  giveUp.abort(new Error('enough'));
  await second;
  await first;
  granted[0]?.started();
  await third;
  assert.equal(granted.length, 2);
  await assert.rejects(ask(giveUp.signal), { message: 'enough' });
});

test('without a free slot everyone waits, until one is reclaimed', async () => {
  const { slots, queue, granted, ask } = setUp(1, 5);
  const asked = [ask(), ask()];
  await settle();
  assert.equal(granted.length, 1);
  slots.retire(granted[0]?.slot as Slot);
  assert.equal(
    slots.reclaim(() => false),
    false,
    'still counted',
  );
  queue.wake();
  await settle();
  assert.equal(granted.length, 1);
  assert.equal(
    slots.reclaim(() => true),
    true,
  );
  queue.wake();
  await Promise.all(asked);
  assert.deepEqual(
    granted.map(({ slot }) => slot as number),
    [0, 0],
  );
});
