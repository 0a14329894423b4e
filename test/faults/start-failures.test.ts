import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gatewaySchema } from '../../src/config/schema.ts';
import { runGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { probed } from './support/memory.ts';
import { adjacentPorts } from './support/ports.ts';
import { model, patienceMs, row } from './support/row.ts';

const listening = { until: /Listening at/ };
/** Those who wait for a model that fails need not wait long. */
const impatient = { timeouts: { queue_s: 0.2 } };

row(7, async ({ start }) => {
  const boot = { boot_error: 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB', exit_at: 'boot' };
  const gateway = await start([model('m', boot, {}, impatient)], listening);
  assert.match(gateway.output(), /out of memory\. Lower max_model_len[^\n]*\n[^\n]*Tried to allocate 2\.00 GiB/u);
  const { status, headers, message } = await gateway.ask('m');
  assert.equal(status, 503);
  assert.match(String(headers['retry-after']), /^\d+$/u);
  const told = await gateway.model('m', 'tried again later', ({ replicas: [replica] }) => replica?.state === 'backing-off' && replica);
  assert.ok((told.nextStartAt ?? 0) > told.since);
  assert.deepEqual([told.lastError?.code, told.lastError?.cause], ['engine_exited', 'out of memory']);
  const counted = /^roundhouse_replica_failures_total\{model="m",code="engine_exited",cause="out of memory"\} [1-9]/mu;
  await until('the metrics show why', async () => counted.test(await gateway.metrics()));
  for (const text of [told.lastError?.message ?? '', message])
    assert.match(text, /out of memory\. Lower max_model_len[^\n]*\n[^\n]*Tried to allocate 2\.00 GiB/u);
});

/** Delays of 1, 2, 4, 8 and 16 s, a quarter longer, and six starts on a busy machine. */
const loopPatienceMs = 90_000;

row(9, async ({ start }) => {
  const gateway = await start([model('bad', { exit_at: 'boot' }), model('well')]);
  const delays: number[] = [];
  let starts = 0;
  const seen = async (): Promise<boolean> => {
    const replica = (await gateway.status()).find(({ name }) => name === 'bad')?.replicas[0];
    const { nextStartAt, since, state, restarts = 0 } = replica ?? {};
    starts = Math.max(starts, restarts + 1);
    if (state === 'backing-off' && nextStartAt !== undefined && since !== undefined && delays.at(-1) !== nextStartAt - since)
      delays.push(nextStartAt - since);
    return state === 'crash-loop';
  };
  await until('a crash loop', seen, loopPatienceMs);
  for (const [at, delay] of delays.entries()) {
    const base = 1000 * 2 ** at;
    assert.ok(delay >= base * 0.75 && delay <= base * 1.25, `${delay} ms is not ${base} ms ± 25 %: ${delays.join()}`);
  }
  assert.equal(delays.length, 5);
  assert.equal(starts, 6);
  // Others wait for half a minute; nobody for this one.
  const { status, code, message } = await gateway.ask('bad');
  assert.deepEqual([status, code], [503, 'start_failed']);
  assert.match(message, /exit code 1/u);
  assert.equal((await gateway.ask('well')).status, 200);
  assert.equal((await gateway.model('well', 'let alone', ({ replicas: [replica] }) => replica)).restarts, 0);
});

row(11, async ({ start }) => {
  const gateway = await start([model('m')], { ...listening, more: { engines: { fake: { command: 'no-such-engine' } } } });
  const failed = await gateway.model('m', 'failed', ({ replicas: [replica] }) => replica?.state === 'failed' && replica);
  assert.match(failed.lastError?.message ?? '', /no-such-engine: not found on PATH \([^)]*bin[^)]*\)/u);
  assert.equal(failed.restarts, 0);
  const { status, code, message } = await gateway.ask('m');
  assert.equal(status, 503);
  assert.equal(code, 'start_failed');
  assert.match(message, /no-such-engine/u);
  // It could have been known before.
  const checked = await runGateway(['validate', '-c', gateway.configFile]);
  assert.match(
    checked.stdout,
    /config\.yaml:1:\d+: [^\n]*cannot be started on this machine: no-such-engine: not found on PATH \([^)]*bin[^)]*\)/u,
  );
});

row(12, async ({ start }) => {
  const usage = ['/bin/sh', '-c', 'echo "fake: error: invalid argument: unknown option --foo"; exit 2'];
  const gateway = await start([model('bad', {}, {}, { command: usage }), model('well')]);
  const failed = await gateway.model('bad', 'failed', ({ replicas: [replica] }) => replica?.state === 'failed' && replica);
  assert.match(failed.lastError?.message ?? '', /unknown option --foo/u);
  assert.equal(failed.restarts, 0);
  const pid = await gateway.pidOf('well');
  await gateway.writeConfig([model('well', { foo: 1 })]);
  const { status, text } = await gateway.reload();
  assert.equal(status, 422);
  assert.match(text, /config\.yaml:\d+:\d+: [^\n]*no option \\"foo\\"/u);
  assert.equal(await gateway.pidOf('well'), pid);
  assert.equal((await gateway.ask('well')).status, 200);
});

row(13, async ({ t, start }) => {
  const first = await adjacentPorts(2);
  const owner = createServer((_, response) => response.end('the owner')).listen(first, '127.0.0.1');
  t.after(() => owner.close());
  await once(owner, 'listening');
  const gateway = await start([model('m')], { more: { engine_ports: { first, count: 2 } } });
  await gateway.model('m', 'on the next port', ({ replicas: [replica] }) => replica?.upstream === `http://127.0.0.1:${first + 1}`);
  await gateway.writeConfig([model('m', {}, { num_replicas: 2 })]);
  assert.equal((await gateway.reload()).status, 200);
  const { message } = await gateway.model('m', 'the second one finds none', ({ replicas }) => replicas[1]?.lastError);
  assert.match(message, new RegExp(`no free port for an engine between ${first} and ${first + 1} \\(gateway\\.engine_ports\\)`, 'u'));
  assert.equal(await (await fetch(`http://127.0.0.1:${first}`)).text(), 'the owner');
});

row(14, async ({ t, start }) => {
  const port = await adjacentPorts(1);
  const more = { engine_ports: { first: port, count: 1 } };
  const gateway = await start([model('m', { listen_after_s: 3 }, {}, impatient)], { more });
  const pid = await gateway.pidOf('m');
  const asked: string[] = [];
  const impostor = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(JSON.stringify({ data: [{ id: 'm' }] }));
  });
  t.after(() => impostor.close());
  process.kill(-pid, 'SIGKILL');
  await gateway.model('m', 'its successor exists, and listens later', ({ replicas: [replica] }) => replica?.pid !== pid && replica?.pid);
  impostor.listen(port, '127.0.0.1');
  await once(impostor, 'listening');
  const failure = await gateway.model('m', 'found out', ({ replicas: [replica] }) => {
    const error = replica?.lastError;
    return error?.code === 'model_mismatch' && error;
  });
  assert.match(failure.message, /another process listens on/u);
  assert.equal((await gateway.ask('m')).status, 503);
  assert.ok(
    asked.every((path) => !path.includes('completions')),
    'no request of a user reached it',
  );
  impostor.closeAllConnections();
  impostor.close();
  await gateway.pidOf('m');
});

row(15, async ({ t, start }) => {
  const once = join(await tempDir(t), 'once');
  const script = `if mkdir ${once} 2>/dev/null; then echo "OSError: [Errno 98] Address already in use"; exit 1; fi; exec ${process.execPath} "$@"`;
  const gateway = await start([model('m', {}, {}, { command: ['/bin/sh', '-c', script, 'engine'] })]);
  await gateway.pidOf('m');
  assert.match(gateway.output(), /port in use/u);
  await gateway.model('m', 'started twice', ({ replicas: [replica] }) => replica?.restarts === 1);
  // What the gateway gives them does not collide, though eight start at once.
  const many = await start([model('many', { inner_ports: 3 }, { num_replicas: 8 })]);
  const replicas = await many.model('many', 'eight serve', ({ replicas: all }) => all.every(({ state }) => state === 'ready') && all);
  assert.ok(
    replicas.every(({ restarts }) => restarts === 0),
    'none was started twice',
  );
  const ports = replicas.map(({ upstream }) => Number(new URL(upstream ?? '').port)).toSorted((a, b) => a - b);
  assert.ok(
    ports.every((port, at) => at === 0 || port - (ports[at - 1] ?? 0) >= 4),
    ports.join(),
  );
});

row(19, async ({ start }) => {
  assert.ok(gatewaySchema.parse({}).timeouts.startup_s >= 1200, 'a first start downloads and compiles');
  const gateway = await start([
    model('patient', { ready_after_s: 2 }),
    model('hasty', { ready_after_s: 2 }, {}, impatient),
    model('late', { ready_after_s: 3600 }, {}, { timeouts: { startup_s: 1 } }),
  ]);
  assert.match(gateway.output(), /not ready after 1 s \(gateway\.timeouts\.startup_s\)/u);
  for (const name of ['patient', 'hasty']) process.kill(-(await gateway.pidOf(name)), 'SIGKILL');
  for (const name of ['patient', 'hasty']) await gateway.model(name, 'loads', ({ replicas: [replica] }) => replica?.phase === 'warming up');
  const [waited, refused] = await Promise.all([gateway.ask('patient'), gateway.ask('hasty')]);
  assert.equal(waited.status, 200);
  assert.equal(refused.status, 503);
  assert.match(String(refused.headers['retry-after']), /^\d+$/u);
  assert.match(refused.message, /warming up/u);
});

row(24, async ({ start, flat }) => {
  const gateway = await start([model('stays')], probed);
  const large = { messages: [{ role: 'user', content: 'one '.repeat(50_000) }] };
  await flat(gateway, async () => {
    await gateway.writeConfig([model('stays'), model('leaves', { ready_after_s: 3600, ignore_sigterm: true })]);
    await gateway.reload();
    const logFile = await gateway.model('leaves', 'loads', ({ replicas: [replica] }) => replica?.phase === 'warming up' && replica.logFile);
    const waiters = Array.from({ length: 20 }, () => gateway.ask('leaves', large));
    await gateway.model('leaves', 'all wait', ({ waiting }) => waiting === waiters.length);
    await gateway.writeConfig([model('stays')]);
    await gateway.reload();
    for (const { code } of await Promise.all(waiters)) assert.equal(code, 'model_not_found');
    await until('only one engine is left', async () => (await gateway.engines()).length === 1, patienceMs);
    assert.doesNotMatch(await readFile(logFile, 'utf8'), /ignoring the signal/u, 'it was killed, not asked');
  });
});

row(28, async ({ start }) => {
  const gateway = await start([model('m', { models_id: 'other' }, {}, impatient)], listening);
  const failure = await gateway.model('m', 'refused', ({ replicas: [replica] }) => replica?.lastError);
  assert.equal(failure.code, 'model_mismatch');
  assert.match(failure.message, /serves other; expected m/u);
  assert.equal((await gateway.ask('m')).status, 503);
});

/** How many replicas were starting at a time, at most, by the gateway's log; one that takes a minute does not hold others up. */
function mostAtOnce(log: string): number {
  const began = new Map<string, number>();
  let most = 0;
  for (const [line, state] of log.matchAll(/^\{.*"msg":"replica is (starting|ready)".*\}$/gmu)) {
    const { replica, time } = JSON.parse(line) as { replica: string; time: number };
    if (state === 'starting') began.set(replica, time);
    else began.delete(replica);
    most = Math.max(most, [...began.values()].filter((since) => time - since < 59_000).length);
  }
  return most;
}

row(29, async ({ start }) => {
  const gateway = await start([model('m', { ready_after_s: 2 }, { num_replicas: 10 })]);
  const replicas = await gateway.model('m', 'all are ready', (m) => m.replicas.every(({ state }) => state === 'ready') && m.replicas);
  assert.equal(mostAtOnce(gateway.log()), 8);
  assert.equal(new Set(replicas.map(({ upstream }) => upstream)).size, 10);
  assert.equal(new Set(replicas.map(({ pid }) => pid)).size, 10);
  assert.deepEqual(new Set(replicas.map(({ restarts }) => restarts)), new Set([0]));
  const replies = await Promise.all(Array.from({ length: 20 }, () => gateway.ask('m')));
  assert.ok(replies.every(({ status }) => status === 200));
});
