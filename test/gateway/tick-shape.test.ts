import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptTick } from '../../src/gateway/tick-shape.ts';

test('what is kept is what Node.js makes for a tick, with its computed keys', async () => {
  const { tick } = await keptTick;
  assert.ok('callback' in tick && typeof tick.callback === 'function');
  assert.ok(Object.getOwnPropertySymbols(tick).length >= 2);
});
