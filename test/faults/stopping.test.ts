import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { readJournal } from '../../src/models/partial.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { fetchedModel, type GatewayProcess } from '../support/gateway-process.ts';
import { gguf, temporaryDir } from '../support/model-store.ts';
import { S3Stub } from '../support/s3-stub.ts';
import { until } from '../support/until.ts';
import { model, patienceMs, row, type Scene, type Victim } from './support/row.ts';

const mib = 2 ** 20;

const endless = { tokens: 10_000, tokens_per_s: 5 };

/** What the engine of `m` printed, once there is one. */
async function engineLog(gateway: Victim): Promise<() => Promise<string>> {
  const file = await gateway.model('m', 'its log', ({ replicas: [replica] }) => replica?.logFile);
  return async () => await readFile(file, 'utf8');
}

row(22, async ({ t, start }) => {
  const gateway = await start([model('m', { ignore_sigterm: true, fork: 1 })]);
  assert.equal((await gateway.engines()).length, 2, 'the row needs a worker');
  const printed = await engineLog(gateway);
  const { graceMs } = fake.configure({}).stopping;
  const begun = performance.now();
  gateway.signal('SIGTERM');
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
  const tookMs = performance.now() - begun;
  t.diagnostic(`gone ${tookMs.toFixed(0)} ms after SIGTERM, with a grace of ${graceMs} ms`);
  assert.match(await printed(), /ignoring the signal/u);
  assert.ok(tookMs >= graceMs, 'it was given its grace');
});

row(23, async ({ start }) => {
  // Loads long enough for somebody to look meanwhile.
  const gateway = await start([model('m', { fork: 1, daemonise: true, ready_after_s: 2 })]);
  const pid = await gateway.pidOf('m');
  const family = await gateway.engines();
  assert.equal(family.length, 3, 'the row needs a worker and a daemon');
  process.kill(pid, 'SIGKILL');
  const left = /1 of its processes had left its process group, and was ended too/u;
  await gateway.model('m', 'the status tells of it, until the next one serves', ({ replicas: [replica] }) =>
    left.test(replica?.lastError?.message ?? ''),
  );
  await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  const successors = await gateway.engines();
  assert.deepEqual(
    successors.filter((member) => family.includes(member)),
    [],
  );
  assert.equal(successors.length, 3);
  assert.match(gateway.output(), left, 'the terminal tells of it');
  assert.match(gateway.log(), /processes of a replica had left its group; they were ended too/u);
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
    const printed = await engineLog(gateway);
    const stream = await gateway.stream('m');
    await stream.until(/data: \{"id"/u);
    gateway.signal(signal);
    // Said anew every two seconds: by then another signal is not the first one's echo.
    await gateway.printed(/Waiting for 1 request[\s\S]*Waiting for 1 request/u);
    gateway.signal(signal);
    assert.deepEqual(await gateway.exited, { code, signal: null });
    assert.doesNotMatch(await printed(), /ignoring the signal/u, 'the engine was killed, not asked');
  }
});

row(38, async ({ t, start }) => {
  const gateway = await start([model('m', { ready_after_s: 3600, ignore_sigterm: true, fork: 1 })], { until: /^m: warming up$/mu });
  assert.equal((await gateway.engines()).length, 2);
  const logs = join(gateway.stateDir, 'logs');
  const [log = ''] = await readdir(logs);
  gateway.signal('SIGTERM');
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
  const printed = await readFile(join(logs, log), 'utf8');
  assert.match(printed, /warming up/u);
  assert.doesNotMatch(printed, /ignoring the signal/u, 'it was killed, not asked');
  await stoppedWhileFetching(t, start);
});

async function stoppedWhileFetching(t: TestContext, start: Scene['start']): Promise<void> {
  const body = gguf(4 * mib);
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
  const rest = Promise.withResolvers<void>();
  stub.pace = async () => (stub.sentBytes < mib ? undefined : await rest.promise);
  const cache = temporaryDir(t);
  const [fetched, more] = [fetchedModel('m', 's3://bucket/m', stub.env), { cache: { dir: cache } }];
  const stopped = await start([fetched], { more, until: /^m: bringing the model files here$/mu });
  await until('what was sent is on disk', async () => (await keptBytes(cache)) === mib, patienceMs);
  stopped.signal('SIGINT');
  assert.deepEqual(await stopped.exited, { code: 0, signal: null });
  rest.resolve();
  const next = await start([fetched], { more });
  assert.equal((await next.ask('m')).status, 200);
  assert.equal(stub.reads.at(-1)?.range, `bytes=${mib}-${body.length - 1}`, 'it goes on where the first one was stopped');
  assert.equal(stub.sentBytes, body.length);
}

/** What the journal of the one download in a cache says is on disk. */
async function keptBytes(cache: string): Promise<number> {
  const journal = (await readdir(cache, { recursive: true })).find((name) => name.endsWith('/journal'));
  if (journal === undefined) return 0;
  const segments = readJournal(await readFile(join(cache, journal), 'utf8'), 1).flat();
  return segments.reduce((sum, { start, end }) => sum + end - start, 0);
}
