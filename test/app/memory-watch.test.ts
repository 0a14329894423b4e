import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchMemory } from '../../src/app/memory-watch.ts';
import { ManualClock } from '../support/manual-clock.ts';

test('memory is favoured while there are a thousand requests, and for a minute after', async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const ending = new AbortController();
  let inFlight = 999;
  watchMemory({ clock, inFlight: () => inFlight, favour: (kind) => told.push(kind) }, ending.signal);
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) await clock.advance(1000);
  };
  await pass(5);
  assert.deepEqual(told, [], 'not for fewer');
  inFlight = 1000;
  await pass(2);
  inFlight = 0;
  await pass(59);
  assert.deepEqual(told, ['memory'], 'told once, and kept for a minute');
  inFlight = 1000;
  await pass(1);
  inFlight = 0;
  await pass(59);
  assert.deepEqual(told, ['memory'], 'the minute begins anew');
  await pass(1);
  assert.deepEqual(told, ['memory', 'time']);
  ending.abort();
  inFlight = 5000;
  await pass(5);
  assert.deepEqual(told, ['memory', 'time'], 'nobody looks any more');
});
