import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { EventLoopLag } from '../../src/core/event-loop-lag.ts';
import { ManualClock } from '../support/manual-clock.ts';

test('a block of the event loop shows until a window has passed in which somebody read it', async () => {
  const clock = new ManualClock();
  const lag = new EventLoopLag(clock);
  // Its timer has to have run once before it measures.
  while (lag.read()['1'] === 0) {
    const end = performance.now() + 600;
    while (performance.now() < end);
    await setImmediate();
  }
  const seen = lag.read();
  assert.ok(seen['1'] >= 0.5, `a block of 0.6 s reads ${seen['1']} s`);
  assert.ok(seen['0.5'] <= seen['0.99'] && seen['0.99'] <= seen['1']);
  await clock.advance(15_000);
  assert.ok(lag.read()['1'] >= 0.5, 'the window that ends now has it');
  assert.ok(lag.read()['1'] >= 0.5, 'and who comes soon after sees it too');
  await clock.advance(15_000);
  lag.read();
  assert.ok(lag.read()['1'] < 0.5, 'then it is over');
});
