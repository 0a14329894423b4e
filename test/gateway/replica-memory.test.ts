import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import { emptyTable, type ReplicaView, type RoutingTable } from '../../src/core/table.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';
import { modelEntry } from '../support/model-entry.ts';

const view = (id: string): ReplicaView => ({
  id: replicaId(id),
  slot: slot(1),
  index: 0,
  upstream: 'http://127.0.0.1:1',
  apiKey: '',
  maxInFlight: 1,
});
const table = (...ids: readonly string[]): RoutingTable => ({
  ...emptyTable,
  models: new Map([[modelName('m'), modelEntry({ replicas: ids.map(view) })]]),
});

describe('replica memory', () => {
  test('replicas that come with the first one are as warm as it, a later one warms up in ten seconds', () => {
    const memory = new ReplicaMemory();
    memory.retain(emptyTable, 0);
    memory.retain(table('a'), 1_000);
    memory.retain(table('a', 'b'), 10_999);
    memory.retain(table('a', 'b', 'c'), 12_000);
    assert.deepEqual([memory.share(replicaId('a'), 12_000), memory.share(replicaId('b'), 12_000)], [1, 1]);
    const shares = [12_000, 13_000, 17_000, 22_000, 60_000].map((now) => memory.share(replicaId('c'), now));
    assert.deepEqual(shares, [0.1, 0.1, 0.5, 1, 1]);
  });

  test('a model that had no replica for a while begins anew', () => {
    const memory = new ReplicaMemory();
    memory.retain(table('a'), 0);
    memory.retain(table(), 50_000);
    memory.retain(table('b'), 60_000);
    memory.retain(table('b', 'c'), 61_000);
    assert.equal(memory.share(replicaId('c'), 61_000), 1);
  });

  test('one that has gone and come back is new, and trusted', () => {
    const memory = new ReplicaMemory();
    memory.retain(table('a', 'b'), 0);
    for (let failure = 0; failure < 5; failure += 1) memory.concluded(replicaId('b'), 'failed', 0);
    assert.equal(memory.admits(replicaId('b'), 1), false);
    memory.retain(table('a'), 20_000);
    memory.retain(table('a', 'b'), 20_001);
    assert.equal(memory.admits(replicaId('b'), 20_001), true);
    assert.equal(memory.share(replicaId('b'), 20_001), 0.1);
  });
});
