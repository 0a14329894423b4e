import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';

const onDemand = fakeModel('m', {}, {}, { idle: { stop_s: 600 } });
const patienceMs = 20_000;
const ask = { model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 };

test('a model that sleeps is ready, woken by its first request, and explained', async (t) => {
  const gateway = await startGateway(t, [onDemand]);
  const ready = async (): Promise<number> => (await fetch(`${gateway.url}/ready`)).status;
  await until('it is known to sleep', async () => (await gateway.status())[0]?.status.phase === 'asleep', patienceMs);
  await until('/ready lets requests come', async () => (await ready()) === 200, patienceMs);
  assert.deepEqual(await gateway.engines(), []);

  const replies = await Promise.all(Array.from({ length: 5 }, () => gateway.post(ask)));
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  );
  assert.equal((await gateway.engines()).length, 1, 'one start for all who waited');

  const why = await runGateway(['status', 'm', '--why', '--state-dir', gateway.stateDir]);
  assert.equal(why.code, 0, why.stderr);
  assert.match(why.stdout, /^m: 1 of 1 wanted replica serves\n/);
  assert.match(why.stdout, /0 → 1 {2}cold-start/);
  const unknown = await runGateway(['status', 'nope', '--why', '--state-dir', gateway.stateDir]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /"nope".*Models that are scaled: m\./);
  assert.match(await gateway.metrics(), /^roundhouse_autoscale_decisions_total\{model="m",reason="cold-start"\} 1$/m);
});

test('after a restart of the gateway a model is as awake as it was', async (t) => {
  const gateway = await startGateway(t, [onDemand]);
  assert.equal((await gateway.post(ask)).status, 200);
  gateway.signal('SIGTERM');
  await gateway.exited;
  const next = await startGateway(t, [onDemand], { stateDir: gateway.stateDir });
  assert.equal((await next.status())[0]?.replicas[0]?.state, 'ready', 'it goes on with the number of the last run');
});

test('a replica that sleeps keeps its process, and the next request wakes it', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m', { wake_s: 0.2 }, {}, { idle: { sleep_s: 0.3, stop_s: 600 } })]);
  const is = (state: string): Promise<void> =>
    until(`it is ${state}`, async () => (await gateway.status())[0]?.replicas[0]?.state === state, patienceMs);
  assert.equal((await gateway.post(ask)).status, 200);
  const engines = await gateway.engines();
  assert.equal(engines.length, 1);
  for (let turn = 0; turn < 2; turn += 1) {
    await is('asleep');
    const replies = await Promise.all(Array.from({ length: 5 }, () => gateway.post(ask)));
    assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
  }
  assert.deepEqual(await gateway.engines(), engines, 'the same process');
  await is('asleep');
  assert.equal((await fetch(`${gateway.url}/ready`)).status, 200);
  const metrics = await gateway.metrics();
  assert.match(metrics, /^roundhouse_replica_state\{model="m",replica="0",state="asleep"\} 1$/m);
  assert.match(metrics, /^roundhouse_autoscale_sleeping_replicas\{model="m"\} 1$/m);
  const why = await runGateway(['status', 'm', '--why', '--state-dir', gateway.stateDir]);
  assert.match(why.stdout, /^m: 0 of 1 wanted replica serves, 1 asleep\n/);
  assert.match(why.stdout, /decision {2}1 asleep: no request for \d+(\.\d)? s of 600 s, then none/);
});
