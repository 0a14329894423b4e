import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adapterHitRate } from '../../bench/routing/adapter-hit-rate.ts';
import { hitRate } from '../../bench/routing/hit-rate.ts';
import { conversations } from '../../bench/routing/trace.ts';

describe('the simulated trace', () => {
  const trace = conversations(1, 200, 600);

  test('is the same every time, in order, and a conversation only grows', () => {
    assert.deepEqual(conversations(1, 200, 600), trace);
    const lengths = new Map<number, number>();
    let at = 0;
    for (const turn of trace) {
      assert.ok(turn.at >= at);
      at = turn.at;
      assert.ok(turn.promptTokens > (lengths.get(turn.conversation) ?? turn.sharedTokens));
      lengths.set(turn.conversation, turn.promptTokens);
    }
  });

  test('affinity finds more of a prompt in the cache than taking turns, at about the same load', () => {
    const turns = hitRate('round-robin', trace, 4);
    const affine = hitRate('affinity', trace, 4);
    assert.ok(affine.hit > turns.hit * 1.2, `${affine.hit} against ${turns.hit}`);
    assert.ok(affine.spread < 1.25, `spread ${affine.spread}`);
  });

  test('adapters are met loaded more than twice as often where they belong as where the turn is', () => {
    const trace = { seed: 1, requests: 4000, adapters: 64, replicas: 8, capacity: 4 };
    const turns = adapterHitRate('round-robin', trace);
    const affine = adapterHitRate('affinity', trace);
    assert.ok(affine > 2 * turns && affine < 1, `${affine} against ${turns}`);
  });
});
