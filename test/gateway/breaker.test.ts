import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { admits, begun, type Breaker, concluded, trusted, type Verdict } from '../../src/gateway/breaker.ts';

const after = (breaker: Breaker, verdicts: readonly Verdict[], now = 0): Breaker =>
  verdicts.reduce((state, verdict) => concluded(begun(state, now), verdict, now), breaker);
const opened = after(trusted, Array<Verdict>(5).fill('failed'));

describe('breaker', () => {
  test('opens after five failures in a row, not after five with a success between', () => {
    assert.equal(admits(opened, 4_999), false);
    assert.equal(admits(after(trusted, ['failed', 'failed', 'failed', 'failed', 'ok', 'failed']), 0), true);
  });

  test('what the client did wrong never counts', () => {
    assert.deepEqual(after(trusted, Array<Verdict>(1000).fill('unknown')), trusted);
    assert.equal(admits(after(trusted, ['failed', 'failed', 'failed', 'failed', 'unknown', 'unknown']), 0), true);
  });

  test('a busy one is passed over for a second and is never broken', () => {
    const busy = after(trusted, Array<Verdict>(50).fill('busy'), 100);
    assert.equal(admits(busy, 1_099), false);
    assert.equal(admits(busy, 1_100), true);
    assert.equal(busy.kind, 'closed');
  });

  test('half open: one probe at a time, three successes close it', () => {
    let breaker = begun(opened, 5_000);
    for (let probe = 0; probe < 3; probe += 1) {
      assert.equal(breaker.kind, 'half-open');
      breaker = begun(breaker, 5_000);
      assert.equal(admits(breaker, 5_000), false);
      breaker = concluded(breaker, 'ok', 5_000);
      assert.equal(admits(breaker, 5_000), true);
    }
    assert.deepEqual(breaker, trusted);
  });

  test('a failed probe opens it for twice as long, up to a minute', () => {
    let breaker = opened;
    const lengths: number[] = [];
    for (let trip = 0, now = 0; trip < 7; trip += 1) {
      const until = breaker.kind === 'open' ? breaker.until : assert.fail(breaker.kind);
      lengths.push(until - now);
      now = until;
      breaker = concluded(begun(breaker, now), 'failed', now);
    }
    assert.deepEqual(lengths, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });

  test('a probe whose client left makes room for the next', () => {
    const probing = begun(opened, 5_000);
    assert.equal(admits(probing, 5_000), false);
    assert.equal(admits(concluded(probing, 'unknown', 5_000), 5_000), true);
  });

  test('whatever happens, it admits a request again within a minute of the last one’s end', () => {
    const verdict = fc.constantFrom<Verdict>('ok', 'failed', 'busy', 'unknown');
    fc.assert(
      fc.property(fc.array(fc.tuple(verdict, fc.nat(70_000)), { maxLength: 60 }), (steps) => {
        let breaker: Breaker = trusted;
        let now = 0;
        for (const [what, wait] of steps) {
          now += wait;
          breaker = concluded(begun(breaker, now), what, now);
        }
        assert.equal(admits(breaker, now + 60_000), true);
      }),
    );
  });
});
