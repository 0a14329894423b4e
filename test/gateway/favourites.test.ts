import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { groupOf, heaviestOf, keyGroups } from '../../src/core/rendezvous.ts';
import { replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { Favourites } from '../../src/gateway/favourites.ts';

const replicas = (indices: readonly number[]): readonly ReplicaView[] =>
  indices.map((index) => ({ id: replicaId(`r${index}`), slot: slot(index), index, upstream: '', apiKey: '', maxInFlight: 1 }));
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const groups = Array.from({ length: 2000 }, (_, key) => groupOf(key * 2_654_435));

describe('favourites', () => {
  for (const count of [0, 1, 15, 16, 40]) {
    test(`of ${count} replicas are those with the highest weight, asked once or again`, () => {
      const favourites = new Favourites();
      const all = replicas(upTo(count));
      for (const group of [...groups, ...groups]) assert.equal(favourites.of(all, group), all[heaviestOf(group, all)]);
    });
  }

  test('move only for the groups of a replica that has gone, few or many', () => {
    for (const count of [8, 17]) {
      const favourites = new Favourites();
      const before = replicas(upTo(count));
      const after = replicas(upTo(count).filter((index) => index !== 3));
      for (const group of groups) {
        const had = favourites.of(before, group)?.index;
        const has = favourites.of(after, group)?.index;
        assert.ok(had === 3 ? has !== 3 : has === had);
      }
    }
  });

  test('are spread evenly', () => {
    const favourites = new Favourites();
    const all = replicas(upTo(32));
    const counts = new Map<number, number>();
    for (const group of groups) {
      const index = favourites.of(all, group)?.index ?? -1;
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
