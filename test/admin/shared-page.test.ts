import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedPage } from '../../src/admin/shared-page.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A page that takes so long to make; each one says which it is. */
function slowPage(tookMs: number) {
  const clock = new ManualClock();
  let made = 0;
  const get = sharedPage(async () => {
    made += 1;
    const mine = made;
    await clock.sleep(tookMs);
    return `page ${mine}`;
  }, clock);
  return { clock, get, made: () => made };
}

test('all who ask while a page is made get that one', async () => {
  const { clock, get, made } = slowPage(20);
  const asked = Array.from({ length: 100 }, () => get());
  await clock.advance(20);
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['page 1']));
  assert.equal(made(), 1);
});

test('it is used again for ten times as long as it took, and for a second at most', async () => {
  for (const [tookMs, keptMs] of [
    [20, 200],
    [500, 1000],
  ] as const) {
    const { clock, get } = slowPage(tookMs);
    const first = get();
    await clock.advance(tookMs + keptMs - 1);
    assert.equal(await first, 'page 1');
    assert.equal(await get(), 'page 1');
    await clock.advance(1);
    const next = get();
    await clock.advance(tookMs);
    assert.equal(await next, 'page 2');
  }
});

test('one that could not be made is made anew for the next who asks', async () => {
  let fails = true;
  const get = sharedPage(() => (fails ? Promise.reject(new Error('no')) : Promise.resolve('page')), new ManualClock());
  await assert.rejects(get(), /no/u);
  fails = false;
  assert.equal(await get(), 'page');
});
