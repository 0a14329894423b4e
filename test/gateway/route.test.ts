import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { replicaId, slot } from '../../src/core/ids.ts';
import { type Candidate, routeAmong } from '../support/candidates.ts';

const candidate = (id: string, inFlight: number, maxInFlight = 4, more: Partial<Candidate> = {}): Candidate => ({
  inFlight,
  ...more,
  replica: { id: replicaId(id), slot: slot(0), index: id.charCodeAt(0), upstream: 'http://127.0.0.1:1', apiKey: 'k', maxInFlight },
});
const pick = (candidates: readonly Candidate[], exclude: readonly string[] = [], tieBreak = 0): string => {
  const decision = routeAmong({ exclude: new Set(exclude.map(replicaId)), tieBreak, affinity: undefined }, candidates);
  return decision.kind === 'send' ? decision.replica.id : decision.reason;
};

/** Of 300 keys those that go to one of three about equally loaded replicas that should get this share. */
function keysOnNewOne(share: number): number {
  const three = [candidate('a', 3, 99, { share }), candidate('b', 4, 99), candidate('c', 4, 99)];
  const decisions = Array.from({ length: 300 }, (_, key) =>
    routeAmong({ exclude: new Set(), tieBreak: 0, affinity: key * 2_654_435 }, three),
  );
  return decisions.filter((decision) => decision.kind === 'send' && decision.replica.id === replicaId('a')).length;
}

describe('route', () => {
  const cases: readonly [name: string, candidates: readonly Candidate[], exclude: readonly string[], expected: string][] = [
    ['no replica', [], [], 'no-replica'],
    ['one', [candidate('a', 0)], [], 'a'],
    ['the least in flight', [candidate('a', 2), candidate('b', 1), candidate('c', 3)], [], 'b'],
    ['all full', [candidate('a', 4), candidate('b', 4)], [], 'saturated'],
    ['the one that is not full', [candidate('a', 4), candidate('b', 3)], [], 'b'],
    ['not the one that failed', [candidate('a', 0), candidate('b', 3)], ['a'], 'b'],
    ['the one that failed when there is no other', [candidate('a', 0)], ['a'], 'a'],
    ['not the one that is distrusted', [candidate('a', 0, 4, { admits: false }), candidate('b', 3)], [], 'b'],
    ['rather wait than the one that is distrusted', [candidate('a', 0, 4, { admits: false }), candidate('b', 4)], [], 'saturated'],
    ['the distrusted one when it is the last', [candidate('a', 0, 4, { admits: false })], [], 'a'],
    ['a distrusted one when all are', [candidate('a', 2, 4, { admits: false }), candidate('b', 1, 4, { admits: false })], [], 'b'],
    ['a distrusted one before the one that failed', [candidate('a', 0), candidate('b', 0, 4, { admits: false })], ['a'], 'b'],
    ['a new one gets less', [candidate('a', 0, 9, { share: 0.1 }), candidate('b', 4, 9)], [], 'b'],
    ['a new one gets some', [candidate('a', 0, 99, { share: 0.1 }), candidate('b', 12, 99)], [], 'a'],
    ['rather wait than the one that failed', [candidate('a', 0), candidate('b', 4)], ['a'], 'saturated'],
    ['the one that failed when the other is full and distrusted', [candidate('a', 0), candidate('b', 4, 4, { admits: false })], ['a'], 'a'],
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

  test('among many, picks one that is not full while there is one, and seldom a loaded one', () => {
    const loads = Array.from({ length: 64 }, (_, index) => candidate(String(index), index % 8 === 0 ? 0 : 3));
    const picked = Array.from({ length: 2000 }, (_, turn) => pick(loads, [], turn));
    const idle = picked.filter((id) => Number(id) % 8 === 0).length;
    // Of two drawn at random one is idle with 1 - (7/8)² = 23 %, twice what chance alone would give.
    assert.ok(idle > 380 && idle < 560, `${idle} of 2000 on the idle eighth`);
    const full = loads.map((one, index) => (index === 63 ? one : { ...one, inFlight: 4 }));
    for (let turn = 0; turn < 200; turn += 1) assert.equal(pick(full, [], turn), '63');
  });

  test('a preferred replica that is new takes less before its keys spill over', () => {
    assert.ok(keysOnNewOne(1) > 60);
    assert.equal(keysOnNewOne(0.3), 0);
  });
});
