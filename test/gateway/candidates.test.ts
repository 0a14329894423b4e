import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { groupOf, keyGroups, weightOf } from '../../src/core/rendezvous.ts';
import { adapterName, replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { CandidateLists, Candidates } from '../../src/gateway/candidates.ts';

const replicas = (indices: readonly number[]): readonly ReplicaView[] =>
  indices.map((index) => ({ id: replicaId(`r${index}`), slot: slot(index), index, upstream: '', apiKey: '', maxInFlight: 1 }));
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const groups = Array.from({ length: 2000 }, (_, key) => groupOf(key * 2_654_435));

const candidatesOf = (all: readonly ReplicaView[], board = LoadBoard.create(2, 64)): Candidates => new Candidates(all, board);
const byWeight = (group: number, all: readonly ReplicaView[]): readonly ReplicaView[] =>
  all.toSorted((a, b) => weightOf(group, b.index) - weightOf(group, a.index));

describe('favourites', () => {
  for (const count of [0, 1, 15, 16, 40, 300]) {
    test(`of ${count} replicas are those with the highest weight, asked once or again`, () => {
      const all = replicas(upTo(count));
      const candidates = candidatesOf(all);
      for (const group of [...groups, ...groups]) assert.equal(candidates.favourite(group), byWeight(group, all)[0]);
    });

    test(`of ${count} replicas are followed by the next ones`, () => {
      const all = replicas(upTo(count));
      const candidates = candidatesOf(all);
      for (const group of groups.slice(0, 50)) {
        const order: ReplicaView[] = [];
        for (let next = candidates.favourite(group); next !== undefined; next = candidates.favourite(group, next)) order.push(next);
        assert.deepEqual(order, byWeight(group, all));
      }
    });
  }

  test('move only for the groups of a replica that has gone, few or many', () => {
    for (const count of [8, 17]) {
      const before = candidatesOf(replicas(upTo(count)));
      const after = candidatesOf(replicas(upTo(count).filter((index) => index !== 3)));
      for (const group of groups) {
        const had = before.favourite(group)?.index;
        const has = after.favourite(group)?.index;
        assert.ok(had === 3 ? has !== 3 : has === had);
      }
    }
  });

  test('are spread evenly', () => {
    const candidates = candidatesOf(replicas(upTo(32)));
    const counts = new Map<number, number>();
    for (const group of groups) {
      const index = candidates.favourite(group)?.index ?? -1;
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    assert.equal(counts.size, 32);
    for (const [index, count] of counts)
      assert.ok(count > 30 && count < 100, `${count} of 2000 groups prefer replica ${index}; even are 62`);
  });

  test('groups are numbers below their count', () => {
    for (const group of groups) assert.ok(Number.isInteger(group) && group >= 0 && group < keyGroups);
  });
});

describe('candidates', () => {
  test('add the requests in flight up, of few at each pick and of many within as many picks as a quarter of them', () => {
    for (const [count, picks] of [
      [4, 1],
      [40, 10],
    ] as const) {
      const board = LoadBoard.create(2, 64);
      const candidates = candidatesOf(replicas(upTo(count)), board);
      assert.equal(candidates.total(), 0);
      board.add(0, slot(0), 1);
      board.add(1, slot(count - 1), 1);
      const seen = Array.from({ length: picks }, () => candidates.total());
      assert.deepEqual(seen, [...Array.from({ length: picks - 1 }, () => 0), 2]);
    }
  });

  test('with an adapter are those that have it loaded', () => {
    const adapter = adapterName('blue');
    const all = replicas(upTo(5)).map((replica) =>
      replica.index % 2 === 0 ? { ...replica, adapters: new Map([[adapter, { handle: 'blue' }]]) } : replica,
    );
    const candidates = candidatesOf(all);
    const having = candidates.withAdapter(adapter);
    assert.deepEqual(
      having.replicas.map(({ index }) => index),
      [0, 2, 4],
    );
    assert.equal(candidates.withAdapter(adapter), having);
    assert.deepEqual(candidates.withAdapter(adapterName('green')).replicas, []);
  });

  test('are kept by model, as long as its list is the same and until they are forgotten', () => {
    const lists = new CandidateLists(LoadBoard.create(1, 64));
    const one = { waiting: slot(2), replicas: replicas([0, 1]) };
    const other = { waiting: slot(63), replicas: replicas([0, 1]) };
    const ofOne = lists.of(one);
    assert.equal(ofOne.replicas, one.replicas);
    assert.equal(lists.of(other).replicas, other.replicas);
    assert.equal(lists.of({ ...one }), ofOne);
    const changed = { ...one, replicas: replicas([0, 1]) };
    assert.equal(lists.of(changed).replicas, changed.replicas);
    assert.notEqual(lists.of(one), ofOne);
    const before = lists.of(other);
    lists.forget();
    assert.notEqual(lists.of(other), before);
  });
});
