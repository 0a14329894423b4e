import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { modelName } from '../../src/core/ids.ts';
import { type RemoteEngine, remoteEngine } from '../faults/support/remote-engine.ts';
import { model } from './support/model.ts';
import { type Real, real } from './support/real.ts';

const name = modelName('demo');

interface Sleeper extends Real {
  readonly sleep: () => void;
  readonly wake: () => void;
  /** Its first process, past the supervisor. */
  readonly engine: RemoteEngine;
  readonly routed: () => number;
  readonly is: (state: string) => Promise<unknown>;
}

/** A model with one replica, which is ready. */
async function sleeper(t: TestContext, engineOptions: object = {}): Promise<Sleeper> {
  const harness = await real(t);
  const { supervisor, until, replica, apply, table } = harness;
  apply(model({ traits: { sleeps: true }, engineOptions: { ...engineOptions } }));
  const is = (state: string): Promise<unknown> => until(() => replica()?.state === state);
  await is('ready');
  const { pid, upstream } = replica() ?? {};
  assert.ok(pid !== undefined && upstream !== undefined);
  return {
    ...harness,
    is,
    sleep: () => supervisor.scale(name, 1, { asleep: true }),
    wake: () => supervisor.scale(name, 1),
    engine: await remoteEngine(pid, upstream),
    routed: () => table().models.get(name)?.replicas.length ?? 0,
  };
}

test('a replica leaves the table, sleeps, and serves again as the same process once it has proved that it is awake', async (t) => {
  const { sleep, wake, is, engine, replica, report, routed } = await sleeper(t);
  sleep();
  await is('asleep');
  assert.equal(routed(), 0);
  assert.deepEqual(report()?.status, { phase: 'asleep', asleep: true });
  const { asleep, probes } = await engine.state();
  assert.equal(asleep, true);
  wake();
  await is('ready');
  assert.deepEqual([replica()?.pid, replica()?.restarts, routed()], [engine.pid, 0, 1]);
  const after = await engine.state();
  assert.deepEqual([after.asleep, after.sleeps, after.wakes], [false, 1, 1]);
  assert.ok(after.probes > probes, 'its health was asked after it woke');
});

test('no engine is told to sleep while a request is on it, and one that is wanted meanwhile is as it was', async (t) => {
  const { sleep, wake, is, engine, board, table } = await sleeper(t);
  const slot = table().models.get(name)?.replicas[0]?.slot ?? assert.fail('it is in the table');
  board.add(0, slot, 1);
  sleep();
  await is('falling-asleep');
  wake();
  await is('ready');
  assert.equal((await engine.state()).sleeps, 0);
  sleep();
  await is('falling-asleep');
  board.add(0, slot, -1);
  await is('asleep');
  assert.equal((await engine.state()).sleeps, 1);
});

for (const [wakes, message] of [
  ['refuse', /did not wake: POST \/wake_up: 500 .*cannot do POST \/wake_up/u],
  ['lie', /did not wake: it took the call, and sleeps on/u],
  ['die', /ended with exit code 1 while serving|did not wake: POST \/wake_up/u],
] as const) {
  test(`an engine that does not wake (${wakes}) is started anew, and serves`, async (t) => {
    const { sleep, wake, is, engine, replica, until, supervisor } = await sleeper(t);
    await engine.control({ wake: wakes });
    sleep();
    await is('asleep');
    const failures: string[] = [];
    supervisor.subscribe(() => failures.push(replica()?.lastError?.message ?? ''));
    wake();
    await until(() => replica()?.state === 'ready' && replica()?.pid !== engine.pid);
    assert.equal(replica()?.restarts, 1);
    assert.match(failures.find((failure) => failure !== '') ?? '', message);
  });
}

test('an engine that refuses to sleep serves on, and is not told again', async (t) => {
  const { sleep, wake, is, engine, replica, until, supervisor } = await sleeper(t, { sleep: 'refuse' });
  let changes = 0;
  supervisor.subscribe(() => (changes += 1));
  sleep();
  await until(() => changes > 0 && replica()?.state === 'waking');
  await is('ready');
  assert.deepEqual([replica()?.pid, replica()?.restarts], [engine.pid, 0]);
  await engine.control({ sleep: 'ok' });
  wake();
  sleep();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([replica()?.state, (await engine.state()).sleeps], ['ready', 0]);
});

test('one that sleeps ends without being woken, and a restart replaces it', async (t) => {
  const { sleep, is, engine, until, supervisor, report, replica } = await sleeper(t);
  sleep();
  await is('asleep');
  assert.deepEqual(
    supervisor.restart(() => true).map(({ how }) => how),
    ['replaced'],
  );
  await until(() => report()?.replicas.every(({ pid }) => pid !== engine.pid) === true && replica(1)?.state === 'asleep');
  supervisor.scale(name, 0);
  await until(() => report()?.replicas.length === 0);
});
