import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanRecord, defaultRestartLimits as limits, recordFailure, recordStart } from '../../src/supervisor/restart.ts';
import type { StartRecord } from '../../src/supervisor/restart.ts';

/** The delays of a replica that fails as soon as it has started, with no jitter. */
function delaysOf(failures: number, readyForMs: number | undefined): number[] {
  let record: StartRecord = cleanRecord;
  let now = 0;
  return Array.from({ length: failures }, () => {
    record = recordStart(record, now, limits);
    const failed = recordFailure(record, now, readyForMs, 0.5, limits);
    record = failed.record;
    now += failed.delayMs;
    return failed.delayMs;
  });
}

test('delays double from a second and jump to the longest once the starts are a crash loop', () => {
  assert.deepEqual(delaysOf(8, undefined), [1000, 2000, 4000, 8000, 16_000, 300_000, 300_000, 300_000]);
});

test('the first failure of a replica that had been ready costs no delay', () => {
  assert.deepEqual(delaysOf(4, 5000), [0, 2000, 4000, 8000]);
});

test('a crash loop is one only beyond the allowed starts, and ends with a healthy run', () => {
  let record: StartRecord = cleanRecord;
  for (let start = 0; start < 5; start += 1) {
    record = recordFailure(recordStart(record, 0, limits), 0, undefined, 0, limits).record;
    assert.equal(record.looping, false);
  }
  record = recordFailure(recordStart(record, 0, limits), 0, undefined, 0, limits).record;
  assert.equal(record.looping, true);
  const much = 10 * limits.windowMs;
  assert.equal(recordFailure(record, much, limits.healthyAfterMs - 1, 0, limits).record.looping, true, 'not healthy for long enough');
  assert.deepEqual(recordFailure(record, much, limits.healthyAfterMs, 0, limits), {
    record: { failures: 1, starts: [], looping: false },
    delayMs: 0,
  });
});

test('starts out of the window are forgotten', () => {
  const record = recordStart(recordStart(cleanRecord, 0, limits), limits.windowMs, limits);
  assert.deepEqual(record.starts, [limits.windowMs]);
});

test('property: no delay is negative, above the longest, or more than a quarter off its base', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2000 }),
      fc.boolean(),
      fc.option(fc.nat({ max: 599_999 }), { nil: undefined }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, looping, readyForMs, jitter) => {
        const { record, delayMs } = recordFailure({ failures, starts: [], looping }, 0, readyForMs, jitter, limits);
        assert.equal(record.failures, failures + 1);
        if (failures === 0 && readyForMs !== undefined) return assert.equal(delayMs, 0);
        const base = looping ? limits.longestDelayMs : Math.min(limits.longestDelayMs, 1000 * 2 ** failures);
        assert.ok(delayMs >= base * 0.75 && delayMs <= base * 1.25, `${delayMs} for a base of ${base}`);
        return undefined;
      },
    ),
  );
});
