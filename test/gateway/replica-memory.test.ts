import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import { emptyTable, type ReplicaView, type RoutingTable } from '../../src/core/table.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';

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
  models: new Map([
    [
      modelName('m'),
      {
        engine: 'fake',
        waiting: slot(0),
        created: 0,
        status: { phase: 'ready' },
        limits: { maxWaiting: 1, queueTimeoutMs: 1, firstByteTimeoutMs: 1, idleTimeoutMs: 1 },
        routing: { kind: 'least-in-flight' },
        replicas: ids.map(view),
      },
    ],
  ]),
});

describe('replica memory', () => {
  test('replicas of the first table are warm, a later one warms up in ten seconds', () => {
    const memory = new ReplicaMemory();
    memory.retain(emptyTable, 0);
    memory.retain(table('a'), 1_000);
    memory.retain(table('a', 'b'), 2_000);
    assert.equal(memory.share(replicaId('a'), 2_000), 1);
    const shares = [2_000, 3_000, 7_000, 12_000, 60_000].map((now) => memory.share(replicaId('b'), now));
    assert.deepEqual(shares, [0.1, 0.1, 0.5, 1, 1]);
  });

  test('one that has gone and come back is new, and trusted', () => {
    const memory = new ReplicaMemory();
    memory.retain(table('a', 'b'), 0);
    for (let failure = 0; failure < 5; failure += 1) memory.concluded(replicaId('b'), 'failed', 0);
    assert.equal(memory.admits(replicaId('b'), 1), false);
    memory.retain(table('a'), 1);
    memory.retain(table('a', 'b'), 2);
    assert.equal(memory.admits(replicaId('b'), 2), true);
    assert.equal(memory.share(replicaId('b'), 2), 0.1);
  });
});
