import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';
import { sumOf } from './support/oracles.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

const endless = { tokens: 10_000, tokens_per_s: 20 };

/** Requests that the engines of a model have seen, each. */
async function seenBy(gateway: Victim, name: string, replicas: number): Promise<readonly number[]> {
  const states = Array.from({ length: replicas }, async (_, index) => (await (await gateway.engine(name, index)).state()).requests);
  return Promise.all(states);
}

const statuses = (replies: readonly { readonly status: number }[]): ReadonlySet<number> => new Set(replies.map(({ status }) => status));

row(43, async ({ start }) => {
  const loads = { ready_after_s: 2, max_num_seqs: 4 };
  const gateway = await start([model('other'), model('m', loads, { max_queued_requests: 100 }, { idle: { stop_s: 600 } })]);
  assert.equal((await gateway.engines()).length, 1);
  const replies = await Promise.all(Array.from({ length: 1000 }, () => gateway.ask('m')));
  assert.deepEqual(statuses(replies), new Set([200, 429]));
  const served = replies.filter(({ status }) => status === 200).length;
  assert.ok(served >= 100, `${served} of 1000 were served`);
  assert.equal((await gateway.engines()).length, 2);
  await gateway.model('m', 'one start', ({ replicas: [replica] }) => replica?.restarts === 0 && replica.state === 'ready');
});

row(44, async ({ start }) => {
  const gateway = await start([model('m', { ...endless, max_num_seqs: 1 }, { max_queued_requests: 0 })]);
  const runs = await gateway.stream('m');
  await runs.until(/data: \{"id"/u);
  const replies = await Promise.all(Array.from({ length: 50 }, () => gateway.ask('m')));
  for (const { status, headers, code } of replies) {
    assert.equal(status, 429);
    assert.equal(code, 'overloaded');
    assert.match(String(headers['retry-after']), /^\d+$/u);
    assert.match(String(headers['retry-after-ms']), /^\d+$/u);
  }
  runs.leave();
});

row(45, async ({ start }) => {
  const gateway = await start([model('m', { ...endless, max_num_seqs: 1 }, {}, { timeouts: { queue_s: 0.5 } })]);
  const runs = await gateway.stream('m');
  await runs.until(/data: \{"id"/u);
  const { status, code, message } = await gateway.ask('m');
  assert.equal(status, 503);
  assert.equal(code, 'wait_timeout');
  assert.match(message, /within \d+ s \(state: /u);
  runs.leave();
  await gateway.model('m', 'its place is free', ({ replicas: [replica] }) => replica?.inFlight === 0);
  assert.deepEqual(await seenBy(gateway, 'm', 1), [1], 'the engine never sees it afterwards');
});

row(47, async ({ start }) => {
  const busy = { tokens: 40, tokens_per_s: 20, max_num_seqs: 20 };
  const gateway = await start([model('m', busy, { num_replicas: 2 })]);
  const streams = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('m')));
  await Promise.all(streams.map((stream) => stream.until(/data: \{"id"/u)));
  const before = await seenBy(gateway, 'm', 2);
  assert.ok(
    before.every((count) => count > 0),
    'the row needs streams on both',
  );
  await gateway.writeConfig([model('m', busy, { num_replicas: 1 })]);
  assert.equal((await gateway.reload()).status, 200);
  for (const stream of streams) assert.match(await stream.rest(), /data: \[DONE\]\n\n$/u);
  await until('one engine is left', async () => (await gateway.engines()).length === 1, patienceMs);
});

row(50, async ({ start }) => {
  // Long enough to ask before they are up again.
  const gateway = await start([model('m', { ready_after_s: 3 }, { num_replicas: 2 }, { timeouts: { queue_s: 0.2 } })]);
  for (const pid of await gateway.engines()) process.kill(pid, 'SIGKILL');
  await gateway.model('m', 'none is ready, and why is known', ({ replicas }) =>
    replicas.every(({ state, lastError }) => state !== 'ready' && lastError !== undefined),
  );
  const { status, headers, code, message } = await gateway.ask('m');
  assert.equal(status, 503, message);
  assert.equal(code, 'wait_timeout');
  assert.match(message, /Last failure: [^\n]*SIGKILL/u);
  assert.match(String(headers['retry-after']), /^\d+$/u);
});

row(51, async ({ start }) => {
  const gateway = await start([model('m', { max_model_len: 2 }, { num_replicas: 2 })]);
  const replies = await Promise.all(Array.from({ length: 200 }, () => gateway.ask('m')));
  assert.deepEqual(statuses(replies), new Set([400]));
  assert.equal(
    (await seenBy(gateway, 'm', 2)).reduce((a, b) => a + b),
    200,
    'none was tried again',
  );
  assert.equal((await gateway.ask('m', { messages: [{ role: 'user', content: 'one' }] })).status, 200);
});

row(52, async ({ start }) => {
  const gateway = await start([model('m', {}, { num_replicas: 2 })]);
  const ill = await gateway.engine('m', 1);
  await ill.control({ refuse_all: 500 });
  let failures = 0;
  let inARow = 0;
  // Passed over once each worker has seen five failures of it in a row.
  await until(
    'it is passed over',
    async () => {
      const { status } = await gateway.ask('m');
      failures += status === 500 ? 1 : 0;
      inARow = status === 200 ? inARow + 1 : 0;
      return inARow >= 30;
    },
    patienceMs,
  );
  assert.ok(failures >= 5);
  // Five seconds and more from one look of a worker to its next.
  const { requests: looks } = await ill.state();
  const during = await Promise.all(Array.from({ length: 100 }, () => gateway.ask('m')));
  const failed = during.filter(({ status }) => status !== 200).length;
  assert.ok(failed <= 2 && (await ill.state()).requests - looks === failed, `${failed} of 100 went there: one look a worker at most`);
  await ill.control({ refuse_all: 0 });
  const { requests } = await ill.state();
  await until(
    'it is tried again, and used',
    async () => {
      assert.equal((await gateway.ask('m')).status, 200);
      return (await ill.state()).requests >= requests + 10;
    },
    patienceMs,
  );
});

row(53, async ({ t, start }) => {
  const gateway = await start([model('m', { drop_before_headers: 1_000_000, max_num_seqs: 100 }, { num_replicas: 2 })]);
  const healthy = await gateway.engine('m', 0);
  await healthy.control({ drop_before_headers: 0 });
  const asked = 400;
  const chains = Array.from({ length: 10 }, async () => {
    for (let count = 0; count < asked / 10; count += 1) assert.equal((await gateway.ask('m')).status, 200);
  });
  await Promise.all(chains);
  const retries = sumOf(await gateway.metrics(), 'roundhouse_retries_total');
  const seen = (await seenBy(gateway, 'm', 2)).reduce((a, b) => a + b);
  t.diagnostic(`${seen} requests reached the engines for ${asked}, ${retries} of them retries`);
  assert.ok(retries > 0 && seen <= 1.2 * asked, `${seen} requests reached the engines for ${asked}`);
  const burst = await Promise.all(Array.from({ length: 100 }, () => gateway.ask('m')));
  assert.deepEqual(statuses(burst), new Set([200]), 'all at once: none is lost either');
});

row(54, async ({ start }) => {
  const gateway = await start([model('m', { refuse_all: 500 }, { num_replicas: 2 })]);
  assert.equal((await gateway.ask('m')).status, 500);
  assert.equal(
    (await seenBy(gateway, 'm', 2)).reduce((a, b) => a + b),
    1,
    'not sent to the other one',
  );
  for (const index of [0, 1]) await (await gateway.engine('m', index)).control({ refuse_all: 0 });
  await (await gateway.engine('m', 0)).control({ refuse: [503] });
  await (await gateway.engine('m', 1)).control({ refuse: [503] });
  assert.equal((await gateway.ask('m')).status, 200);
  assert.ok(sumOf(await gateway.metrics(), 'roundhouse_retries_total') >= 1, 'a 503 is tried again');
});

row(61, async ({ start }) => {
  const gateway = await start([
    model('m', { tokens: 20, tokens_per_s: 100, max_num_seqs: 4 }, { num_replicas: 2, max_queued_requests: 20 }),
  ]);
  const ill = await gateway.engine('m', 1);
  const deeds: readonly (() => Promise<unknown>)[] = [
    () => gateway.ask('m'),
    async () => (await gateway.stream('m')).rest(),
    async () => (await gateway.stream('m')).leave(),
    () => gateway.ask('m', { messages: 'not a list' }),
    () => gateway.ask('nobody'),
    () => ill.control({ drop_before_headers: 1 }),
    () => ill.control({ refuse: [500, 503] }),
  ];
  // What must hold is what the oracles ask after each row.
  for (let wave = 0; wave < 5; wave += 1)
    await Promise.all(Array.from({ length: 60 }, async (_, at) => deeds[(at * (wave + 3)) % deeds.length]?.()));
});

const clockJump = fileURLToPath(new URL('./support/clock-jump.ts', import.meta.url));
const hourMs = 3_600_000;

row(65, async ({ start }) => {
  const one = { ...endless, max_num_seqs: 1 };
  const hasty = { timeouts: { queue_s: 300, first_byte_s: 300, idle_s: 300, hang_s: 300 } };
  const busy = model('m', one, { health_check_period_s: 0.2 }, hasty);
  const gateway = await start([busy], {
    nodeArgs: ['--import', clockJump],
    env: { CLOCK_JUMPS_MS: [hourMs, -2 * hourMs].join(',') },
  });
  await gateway.writeConfig([busy, model('cold', { ready_after_s: 3600 }, {}, hasty)]);
  assert.equal((await gateway.reload()).status, 200);
  const engine = await gateway.engine('m');
  const stream = await gateway.stream('m');
  await stream.until(/data: \{"id"/u);
  const waits = gateway.ask('m', { max_tokens: 2 });
  const leave = gateway.begin('cold');
  await gateway.model('m', 'one waits', ({ waiting }) => waiting === 1);
  await gateway.model('cold', 'one waits', ({ waiting }) => waiting === 1);
  for (const shiftMs of [hourMs, -hourMs]) {
    gateway.signal('SIGUSR2');
    for (const thread of [0, 1, 2]) await gateway.logged(new RegExp(`\\{"thread":${thread},"shiftMs":${shiftMs}\\}`, 'u'));
    const before = (await engine.state()).tokens;
    // Longer than the sweep over silent requests, and than several probes.
    await until('the stream has gone on', async () => (await engine.state()).tokens > before + 40, patienceMs);
    await gateway.model('m', 'still waits', ({ waiting }) => waiting === 1);
    await gateway.model('cold', 'still waits', ({ waiting, replicas: [replica] }) => waiting === 1 && replica?.restarts === 0);
  }
  stream.leave();
  assert.equal((await waits).status, 200);
  leave();
  assert.equal(await gateway.pidOf('m'), engine.pid);
  await gateway.model('m', 'not restarted', ({ replicas: [replica] }) => replica?.restarts === 0);
});

row(66, async ({ start }) => {
  const hasty = { timeouts: { hang_s: 1 } };
  const gateway = await start([model('m', endless, { health_check_period_s: 0.2, health_check_timeout_s: 1 }, hasty)]);
  const engine = await gateway.engine('m');
  const stream = await gateway.stream('m');
  const before = (await stream.until(/data: \{"id"/u)).length;
  gateway.signal('SIGSTOP');
  const { tokens } = await engine.state();
  await until('the engine has gone on for three seconds', async () => (await engine.state()).tokens > tokens + 60, patienceMs);
  gateway.signal('SIGCONT');
  await stream.until(new RegExp(`^[\\s\\S]{${before + 20_000},}`, 'u'));
  stream.leave();
  assert.equal(await gateway.pidOf('m'), engine.pid);
  await gateway.model('m', 'not restarted', ({ replicas: [replica] }) => replica?.restarts === 0);
});
