import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import type { Failure } from '../../src/supervisor/failure.ts';
import type { ReplicaState } from '../../src/supervisor/replica-state.ts';
import { cleanRecord as record } from '../../src/supervisor/restart.ts';
import { buildTable, contentOf, modelStatus } from '../../src/supervisor/table.ts';
import type { ReplicaFact } from '../../src/supervisor/table.ts';
import { model } from './support/model.ts';

const failure: Failure = { code: 'engine_exited', message: 'it died', permanent: false };
const view = (at: number) => ({
  id: replicaId(`demo-${at}-00000000`),
  slot: slot(at),
  upstream: `http://127.0.0.1:${at}`,
  apiKey: 'k',
  index: 0,
  maxInFlight: 4,
});
const fact = (state: ReplicaState, over: Partial<ReplicaFact> = {}): ReplicaFact => ({
  state,
  phase: 'loading model',
  view: view(1),
  lastFailure: undefined,
  ...over,
});

const ready: ReplicaState = { kind: 'ready', since: 0, serving: true, record };
const starting: ReplicaState = { kind: 'starting', deadline: 1, record };
const backingOff: ReplicaState = { kind: 'backing-off', until: 5000, failure, record };
const crashLoop: ReplicaState = { kind: 'crash-loop', until: 300_000, failure, record };
const failed: ReplicaState = { kind: 'failed', failure: { ...failure, code: 'engine_missing', permanent: true } };
const restarting: ReplicaState = {
  kind: 'stopping',
  next: { kind: 'restart', reason: { kind: 'unresponsive' }, readyForMs: 1, record },
};
const others: readonly ReplicaState[] = [
  { kind: 'pending', record },
  starting,
  { kind: 'draining', deadline: 1, since: 0, record },
  { kind: 'stopping', next: { kind: 'stopped' } },
  restarting,
  { kind: 'stopped' },
  backingOff,
  crashLoop,
  failed,
];

const capabilitiesOf = (...replicas: readonly ReplicaFact[]): unknown =>
  buildTable(1, [{ config: model(), waiting: slot(0), created: 0, replicas }], new Map(), 0).models.get(modelName('demo'))?.capabilities;

test('what one replica has told of itself speaks for its model', () => {
  assert.equal(capabilitiesOf(fact(starting), fact(ready)), undefined);
  assert.deepEqual(capabilitiesOf(fact(starting), fact(ready, { capabilities: { maxModelLen: 9 } })), { maxModelLen: 9 });
});

test('only ready replicas stand in the table, whatever else has a process', () => {
  const facts = [fact(ready, { view: view(7) }), ...others.map((state) => fact(state))];
  const table = buildTable(
    3,
    [{ config: model(), waiting: slot(0), created: 12, replicas: facts }],
    new Map([['', new Map([['demo', modelName('demo')]])]]),
    0,
  );
  assert.equal(table.version, 3);
  const entry = table.models.get(modelName('demo'));
  assert.deepEqual(entry?.replicas, [view(7)]);
  assert.equal(entry?.created, 12);
  assert.deepEqual([...(table.apps.get('') ?? [])], [['demo', 'demo']]);
  assert.deepEqual(structuredClone(table), table);
});

const error = { code: 'engine_exited', message: 'it died' } as const;
const statuses: readonly [what: string, facts: readonly ReplicaFact[], expected: ReturnType<typeof modelStatus>][] = [
  ['no replica', [], { phase: 'stopped' }],
  ['one serves: what others suffer is not the model’s status', [fact(failed), fact(ready)], { phase: 'ready' }],
  ['first start', [fact(starting)], { phase: 'loading model' }],
  [
    'second start after a failure',
    [fact(starting, { lastFailure: failure })],
    { phase: 'loading model', error: { ...error, permanent: false } },
  ],
  [
    'one starts while another backs off',
    [fact(backingOff), fact(starting)],
    { phase: 'loading model', error: { ...error, permanent: false } },
  ],
  ['backing off', [fact(backingOff)], { phase: 'backing off', etaMs: 4000, error: { ...error, permanent: false } }],
  [
    'crash loop: nobody should wait for it',
    [fact(crashLoop)],
    { phase: 'crash loop', etaMs: 299_000, error: { ...error, permanent: true } },
  ],
  [
    'backing off, and how long a start takes is known',
    [fact(backingOff, { startMs: 500 })],
    { phase: 'backing off', etaMs: 4500, error: { ...error, permanent: false } },
  ],
  [
    'of two that start, the one that is ready first',
    [fact(starting), fact(starting, { phase: 'warming up', startMs: 700 }), fact(starting, { startMs: 900 })],
    { phase: 'warming up', etaMs: 700 },
  ],
  ['its turn has not come', [fact({ kind: 'pending', record }, { startMs: 900 })], { phase: 'waiting to start', etaMs: 900 }],
  [
    'waits for a GPU: when it gets one nobody knows',
    [fact({ kind: 'pending', record }, { startMs: 900, waitsFor: 'waiting for a GPU' })],
    { phase: 'waiting for a GPU' },
  ],
  ['restarts', [fact(restarting, { startMs: 900 })], { phase: 'restarting', etaMs: 900 }],
  ['serves again', [fact(ready, { startMs: 900 })], { phase: 'ready' }],
  ['killed, about to restart', [fact(restarting)], { phase: 'restarting' }],
  ['failed for good', [fact(failed)], { phase: 'failed', error: { code: 'engine_missing', message: 'it died', permanent: true } }],
  [
    'one failed for good, one tries on',
    [fact(failed), fact(backingOff)],
    { phase: 'backing off', etaMs: 4000, error: { ...error, permanent: false } },
  ],
];
for (const [what, facts, expected] of statuses) {
  test(`model status: ${what}`, () => assert.deepEqual(modelStatus(facts, 1000), expected));
}

function contentWith(version: number, now: number, state: ReplicaState): string {
  return contentOf(buildTable(version, [{ config: model(), waiting: slot(0), created: 12, replicas: [fact(state)] }], new Map(), now));
}

test('the content of a table changes with what it says, not with its version or the time', () => {
  assert.equal(contentWith(1, 0, backingOff), contentWith(2, 4000, backingOff));
  assert.notEqual(contentWith(1, 0, backingOff), contentWith(1, 0, crashLoop));
  assert.notEqual(contentWith(1, 0, starting), contentWith(1, 0, ready));
});
