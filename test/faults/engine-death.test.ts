import assert from 'node:assert/strict';
import { until } from '../support/until.ts';
import { probed } from './support/memory.ts';
import { model, patienceMs, row } from './support/row.ts';

row(1, async ({ t, start, flat }) => {
  // The next probe is an hour away: only the end itself can tell.
  const streaming = model('m', { tokens: 1000, tokens_per_s: 20, max_num_seqs: 20 }, { health_check_period_s: 3600 });
  const gateway = await start([streaming], probed);
  await flat(gateway, async () => {
    const pid = await gateway.pidOf('m');
    const streams = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('m')));
    await Promise.all(streams.map((stream) => stream.until(/(data: \{"id"[^\n]*\n\n){5}/)));
    process.kill(-pid, 'SIGKILL');
    const killed = performance.now();
    const ends = streams.map(async (stream) => ({ text: await stream.rest(), afterMs: performance.now() - killed }));
    for (const { text } of await Promise.all(ends)) {
      assert.match(text, /data: \{"error":\{[^\n]*"type":"server_error"[^\n]*"code":"upstream_failed"\}\}\n\n$/);
      assert.doesNotMatch(text, /\[DONE\]|"finish_reason":"stop"/);
    }
    const slowest = (await Promise.all(ends)).map(({ afterMs }) => afterMs).toSorted((a, b) => a - b);
    t.diagnostic(`19 of 20 streams had their error event within ${slowest[18]?.toFixed(0)} ms of the kill`);
    await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  });
  assert.equal(await gateway.model('m', 'started once for each', ({ replicas: [replica] }) => replica?.restarts), 2);
  assert.match(await gateway.metrics(), /^roundhouse_requests_total\{.*status="200",outcome="upstream_failed"\} 40$/mu);
  assert.doesNotMatch(await gateway.metrics(), /^roundhouse_retries_total\{.*[1-9]$/mu);
});

row(2, async ({ start }) => {
  const gateway = await start([
    model('two', { prefill_s: 0.5 }, { num_replicas: 2 }),
    model('one', { prefill_s: 3600, ready_after_s: 1 }, {}, { timeouts: { queue_s: 0.1 } }),
  ]);
  const holder = async (name: string): Promise<number> =>
    gateway.model(name, 'a request is in flight', ({ replicas }) => replicas.find(({ inFlight }) => inFlight === 1)?.pid);
  const saved = gateway.ask('two');
  process.kill(-(await holder('two')), 'SIGKILL');
  assert.equal((await saved).status, 200);
  assert.match(await gateway.metrics(), /^roundhouse_retries_total\{model="two"\} 1$/mu);
  // A stream's head waits for its first event: it gets a real status too.
  for (const stream of [false, true]) {
    const lost = gateway.ask('one', { stream });
    process.kill(-(await holder('one')), 'SIGKILL');
    const { status, code, headers } = await lost;
    assert.equal(status, 503);
    assert.equal(code, 'wait_timeout');
    assert.match(String(headers['retry-after']), /^\d+$/);
    await gateway.pidOf('one');
  }
});

row(3, async ({ start }) => {
  // The next probe is an hour away: only the exit itself can tell.
  const gateway = await start([model('m', {}, { num_replicas: 2, health_check_period_s: 3600 })]);
  const pid = await gateway.pidOf('m', 1);
  process.kill(-pid, 'SIGKILL');
  const replies = await Promise.all(Array.from({ length: 100 }, () => gateway.ask('m')));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  assert.notEqual(await gateway.pidOf('m', 0), pid);
  await until('replaced', async () => (await gateway.pidOf('m', 1)) !== pid);
});

row(10, async ({ start }) => {
  const gateway = await start([model('m', { exit_after_requests: 1, exit_code: 0 })]);
  const pid = await gateway.pidOf('m');
  assert.equal((await gateway.ask('m')).status, 200);
  // The second request ends the engine; its successor takes that request.
  assert.equal((await gateway.ask('m')).status, 200);
  const next = await gateway.model(
    'm',
    'restarted',
    ({ replicas: [replica] }) => replica?.state === 'ready' && replica.pid !== pid && replica,
  );
  assert.equal(next.restarts, 1);
  await gateway.printed(/exit code 0/);
});
