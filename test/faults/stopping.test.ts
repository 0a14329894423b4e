import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { model, patienceMs, row } from './support/row.ts';

const endless = { tokens: 10_000, tokens_per_s: 5 };

row(22, async ({ start }) => {
  const gateway = await start([model('m', { ignore_sigterm: true, fork: 1 })]);
  assert.equal((await gateway.engines()).length, 2, 'the row needs a worker');
  gateway.signal('SIGTERM');
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
});

row(23, async ({ start }) => {
  const gateway = await start([model('m', { fork: 1, daemonise: true })]);
  const pid = await gateway.pidOf('m');
  const family = await gateway.engines();
  assert.equal(family.length, 3, 'the row needs a worker and a daemon');
  process.kill(pid, 'SIGKILL');
  await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  const left = await gateway.engines();
  assert.deepEqual(
    left.filter((member) => family.includes(member)),
    [],
  );
  assert.equal(left.length, 3);
  assert.match(
    gateway.output(),
    /1 of its processes had left its process group, and was ended too/u,
    'the terminal and the status tell of it',
  );
});

row(35, async ({ start }) => {
  const gateway = await start([model('m', { tokens: 30, tokens_per_s: 10, max_num_seqs: 20 })]);
  const streams = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('m')));
  await Promise.all(streams.map((stream) => stream.until(/data: \{"id"/u)));
  gateway.signal('SIGTERM');
  await gateway.printed(/Waiting for 20 requests to end/u);
  await until('nothing new is taken', () => refuses(gateway.url), patienceMs);
  assert.equal((await gateway.engines()).length, 1, 'engines stop last');
  for (const stream of streams) assert.match(await stream.rest(), /data: \[DONE\]\n\n$/u);
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });

  const announcing = await start([model('m')], { more: { timeouts: { pre_stop_s: 3600 } } });
  const ready = async (): Promise<number> => (await fetch(`${announcing.url}/ready`)).status;
  assert.equal(await ready(), 200);
  announcing.signal('SIGTERM');
  await announcing.printed(/SIGTERM: stopping\. Requests are still taken for 3600 s/u);
  await until('not ready', async () => (await ready()) === 503, patienceMs);
  assert.equal((await announcing.ask('m')).status, 200, 'requests are taken until then');
  await endedBySignals(announcing);
});

async function refuses(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const refused = await once(socket, 'connect').then(
    () => false,
    () => true,
  );
  socket.destroy();
  return refused;
}

/** A second signal within a quarter of a second counts as the first one's echo. */
async function endedBySignals(gateway: GatewayProcess): Promise<void> {
  const again = setInterval(() => gateway.signal('SIGTERM'), 300);
  try {
    assert.deepEqual(await gateway.exited, { code: 143, signal: null });
  } finally {
    clearInterval(again);
  }
}

row(36, async ({ start }) => {
  const gateway = await start([model('m', endless)], { more: { timeouts: { drain_s: 0.5 } } });
  const streams = await Promise.all([gateway.stream('m'), gateway.stream('m')]);
  await Promise.all(streams.map((stream) => stream.until(/data: \{"id"/u)));
  gateway.signal('SIGTERM');
  for (const stream of streams) assert.match(await stream.rest(), /data: \{"error":\{[^\n]*"code":"shutting_down"\}\}\n\n$/u);
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
});

row(37, async ({ start }) => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const gateway = await start([model('m', { ...endless, ignore_sigterm: true, fork: 1 })]);
    const stream = await gateway.stream('m');
    await stream.until(/data: \{"id"/u);
    gateway.signal(signal);
    // Said anew every two seconds: by then another signal is not the first one's echo.
    await gateway.printed(/Waiting for 1 request[\s\S]*Waiting for 1 request/u);
    gateway.signal(signal);
    assert.deepEqual(await gateway.exited, { code, signal: null });
  }
});

row(38, async ({ start }) => {
  const gateway = await start([model('m', { ready_after_s: 3600, ignore_sigterm: true, fork: 1 })], { until: /^m: warming up$/mu });
  assert.equal((await gateway.engines()).length, 2);
  gateway.signal('SIGTERM');
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
});
