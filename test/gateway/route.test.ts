import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { replicaId, slot } from '../../src/core/ids.ts';
import { type Candidate, route } from '../../src/gateway/route.ts';

const candidate = (id: string, inFlight: number, maxInFlight = 4): Candidate => ({
  inFlight,
  replica: { id: replicaId(id), slot: slot(0), index: id.charCodeAt(0), upstream: 'http://127.0.0.1:1', apiKey: 'k', maxInFlight },
});
const pick = (candidates: readonly Candidate[], exclude: readonly string[] = [], tieBreak = 0): string => {
  const decision = route({ exclude: new Set(exclude.map(replicaId)), tieBreak, affinity: undefined }, candidates);
  return decision.kind === 'send' ? decision.replica.id : decision.reason;
};

describe('route', () => {
  const cases: readonly [name: string, candidates: readonly Candidate[], exclude: readonly string[], expected: string][] = [
    ['no replica', [], [], 'no-replica'],
    ['one', [candidate('a', 0)], [], 'a'],
    ['the least in flight', [candidate('a', 2), candidate('b', 1), candidate('c', 3)], [], 'b'],
    ['all full', [candidate('a', 4), candidate('b', 4)], [], 'saturated'],
    ['the one that is not full', [candidate('a', 4), candidate('b', 3)], [], 'b'],
    ['not the one that failed', [candidate('a', 0), candidate('b', 3)], ['a'], 'b'],
    ['the one that failed when there is no other', [candidate('a', 0)], ['a'], 'a'],
    ['the one that failed when the other is full', [candidate('a', 0), candidate('b', 4)], ['a'], 'a'],
  ];
  for (const [name, candidates, exclude, expected] of cases) test(name, () => assert.equal(pick(candidates, exclude), expected));

  test('equal replicas take turns', () => {
    const three = [candidate('a', 0), candidate('b', 0), candidate('c', 0)];
    assert.deepEqual(
      [0, 1, 2, 3].map((turn) => pick(three, [], turn)),
      ['a', 'b', 'c', 'a'],
    );
  });

  test('never picks a full replica, and always a least loaded one of the rest', () => {
    const replicas = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 6 })), { maxLength: 12 });
    fc.assert(
      fc.property(replicas, fc.nat(), (loads, tieBreak) => {
        const candidates = loads.map(([inFlight, max], index) => candidate(String(index), inFlight, max));
        const free = candidates.filter(({ inFlight, replica }) => inFlight < replica.maxInFlight);
        const picked = pick(candidates, [], tieBreak);
        if (free.length === 0) assert.equal(picked, candidates.length === 0 ? 'no-replica' : 'saturated');
        else assert.equal(free.find(({ replica }) => replica.id === picked)?.inFlight, Math.min(...free.map(({ inFlight }) => inFlight)));
      }),
    );
  });
});
