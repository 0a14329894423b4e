import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import { S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../../src/core/clock.ts';
import type { FetchLimits } from '../../src/models/fetch.ts';
import { nameProblem } from '../../src/models/plan-fetch.ts';
import { parseReference } from '../../src/models/reference.ts';
import type { ModelLease } from '../../src/models/store.ts';
import { needsRoot } from './support/privileges.ts';
import { fetchedModel, startGateway } from '../support/gateway-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { gguf, options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';
import { S3Stub } from '../support/s3-stub.ts';
import type { Fault } from '../support/s3-stub.ts';
import { until } from '../support/until.ts';
import { patienceMs, row } from './support/row.ts';

const kilobyte = 1024;
const megabyte = 1024 * kilobyte;
const model = referenceOf('s3://bucket/m');

/** Real time, in which nobody waits. */
const impatient: Clock = { now: () => performance.now(), sleep: async () => undefined, after: () => () => undefined };

const unfinished = (root: string): readonly string[] => (existsSync(join(root, 'partial')) ? readdirSync(join(root, 'partial')) : []);

/** Who receives a large file: the thread that asks for it, as where a proxy is named; threads beside it; both. */
const ways: readonly Partial<FetchLimits>[] = [{}, { receiversFromBytes: 0 }, { receiversFromBytes: 0, receivesHere: true }];

/** @returns the bytes that the stub sent */
async function survives(t: TestContext, body: Buffer, fault: S3Stub['fault'], limits: Partial<FetchLimits> = {}): Promise<number> {
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
  stub.fault = fault;
  const lease = await storeIn(temporaryDir(t), { clock: impatient, limits }).fetch(model, options(stub.env));
  assert.ok(readFileSync(lease.path).equals(body));
  lease.release();
  return stub.sentBytes;
}

const cutTwelve: S3Stub['fault'] = ({ key, range }, nth) =>
  key !== undefined && range !== undefined && nth < 12 ? { kind: 'cut', after: 150 * kilobyte } : undefined;

row(133, async ({ t }) => {
  const body = gguf(4 * megabyte);
  for (const limits of ways) {
    const sent = await survives(t, body, cutTwelve, limits);
    assert.ok(sent <= body.length * 1.05, `${sent} bytes for ${body.length}`);
  }
});

row(134, async ({ t }) => {
  const fresh = gguf(2 * megabyte);
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body: gguf(2 * megabyte) }]);
  stub.fault = (_, nth) => {
    if (nth === 4) stub.put({ key: 'm/w.gguf', body: fresh });
    return undefined;
  };
  const lease = await storeIn(temporaryDir(t), { clock: impatient }).fetch(model, options(stub.env));
  assert.ok(readFileSync(lease.path).equals(fresh));
  assert.ok(stub.reads.every(({ headers }) => headers['if-match'] !== undefined));
  lease.release();
});

row(135, async ({ t }) => {
  const body = gguf(megabyte);
  let flips = 1;
  const flip: S3Stub['fault'] = ({ range }) =>
    range?.startsWith('bytes=262144-') === true && flips-- > 0 ? { kind: 'flip', at: 300_000 } : undefined;
  for (const limits of ways) {
    flips = 1;
    const sent = await survives(t, body, flip, limits);
    assert.equal(sent, 2 * body.length, 'fetched once more');
  }
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
  stub.fault = ({ key }) => (key === undefined ? undefined : { kind: 'flip', at: 300_000 });
  const root = temporaryDir(t);
  await assert.rejects(storeIn(root).fetch(model, options(stub.env)), {
    code: 'artifact_unavailable',
    problem: 'checksum',
    permanent: true,
  });
  assert.deepEqual(storeIn(root).cache.list(), []);
  stub.put({ key: 'm/w.gguf', body: Buffer.from('<html>not a model</html>') });
  stub.fault = () => undefined;
  await assert.rejects(storeIn(root).fetch(model, options(stub.env)), /does not begin as a GGUF file does/);
});

row(
  136,
  async ({ t }) => {
    const root = mkdtempSync(join(tmpdir(), 'roundhouse-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', root]);
    t.after(() => {
      execFileSync('umount', [root]);
      rmdirSync(root);
    });
    await using stub = await S3Stub.start([{ key: 'm/w.gguf', body: gguf(3 * megabyte) }]);
    await assert.rejects(
      storeIn(root).fetch(model, options(stub.env)),
      /needs 3\.3 MB more on the disk of \S+ \(5 % to spare\), which has 2\.\d MB/,
    );
    assert.equal(stub.reads.length, 0, 'foreseen');
    for (const limits of ways) {
      const store = storeIn(root, { limits });
      stub.put({ key: 'm/w.gguf', body: gguf(megabyte) });
      stub.pace = async () => {
        if (!existsSync(join(root, 'other'))) writeFileSync(join(root, 'other'), Buffer.alloc(1500 * kilobyte));
      };
      await assert.rejects(store.fetch(model, options(stub.env)), /The disk is full \(ENOSPC\)/);
      assert.deepEqual(unfinished(root), [], 'what was fetched does not fill the disk for others');
      rmSync(join(root, 'other'));
      stub.pace = async () => undefined;
      const lease = await store.fetch(model, options(stub.env));
      lease.release();
      assert.equal(await store.cache.remove(store.cache.list()[0]?.id ?? '', new AbortController().signal), 'removed');
    }
  },
  { skip: needsRoot },
);

/** Resolves when just so many replicas of the gateway are in that phase. */
async function tells(what: string, gateway: GatewayProcess, replicas: number, phase: RegExp): Promise<void> {
  const told = async (): Promise<number> =>
    (await gateway.status()).flatMap((model) => model.replicas).filter((replica) => phase.test(replica.phase)).length;
  await until(what, async () => (await told()) === replicas, patienceMs);
}

row(137, async ({ t }) => {
  const body = gguf(4 * megabyte);
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
  const gate = Promise.withResolvers<void>();
  stub.pace = async () => (stub.sentBytes < megabyte ? undefined : await gate.promise);
  const fromBucket = (deployment: object): object => fetchedModel('m', 's3://bucket/m', stub.env, deployment);
  const more = { cache: { dir: temporaryDir(t) } };
  // Asleep, so that both gateways are there before any byte is. What they hold when awake is more than at their start: no row's own start.
  const asleep = [fromBucket({ autoscaling_config: { min_replicas: 0, max_replicas: 3 } })];
  const [one, other] = [await startGateway(t, asleep, { more }), await startGateway(t, asleep, { more })];
  await one.writeConfig([fromBucket({ num_replicas: 3 })]);
  one.signal('SIGHUP');
  await tells('three replicas tell how far their files are', one, 3, /^downloading \d+ % of 4\.2 MB/);
  const replies = [one, other].map(async (gateway) => await gateway.post({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }));
  await tells('the second gateway waits for the first', other, 1, /^waiting for another gateway to download the model$/);
  gate.resolve();
  for (const reply of await Promise.all(replies)) assert.equal(reply.status, 200, await reply.text());
  assert.equal(stub.sentBytes, body.length);
  for (const gateway of [one, other]) {
    gateway.signal('SIGTERM');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
  }
});

/** Numbers in [0, 1) that are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Of a process each: 50 take minutes, and are asked for with `MODEL_KILLS=50`. The row says how many there were. */
const kills = Number(process.env['MODEL_KILLS'] ?? 3);

row(138, async ({ t }) => {
  const random = seeded(11);
  const body = gguf(16 * megabyte);
  const child = fileURLToPath(new URL('../support/fetch-model.ts', import.meta.url));
  for (let kill = 0; kill < kills; kill += 1) {
    await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
    const root = temporaryDir(t);
    const source = `${stub.url}/bucket/m/w.gguf`;
    const at = Math.floor(random() * body.length);
    const fetching = spawn(process.execPath, [child, root, source], { stdio: 'ignore' });
    stub.pace = async () => {
      if (stub.sentBytes >= at) fetching.kill('SIGKILL');
    };
    const [, signal] = (await once(fetching, 'exit')) as [number | null, string | null];
    assert.equal(signal, 'SIGKILL');
    stub.pace = async () => undefined;
    assert.deepEqual(storeIn(root).cache.list(), [], 'nothing is shown');
    const lease = await storeIn(root).fetch(referenceOf(source), options({}));
    assert.ok(readFileSync(lease.path).equals(body), `killed at ${at}`);
    assert.ok(stub.sentBytes <= body.length * 1.1, `killed at ${at}: ${stub.sentBytes} bytes for ${body.length}`);
    lease.release();
    rmSync(root, { recursive: true });
    t.diagnostic(`${kill + 1} of ${kills} processes killed, the last one at byte ${at} of ${body.length}: ${stub.sentBytes} bytes in all`);
  }
});

row(139, async ({ t }) => {
  for (const name of ['../../etc/passwd', '/etc/passwd', 'a\\b', 'a\0b', 'CON', 'sub/nul.txt', 'k'.repeat(5000), 'a/', 'a//b', '.', 'C:x'])
    assert.ok(nameProblem(name) !== undefined, name);
  for (const name of ['a', 'a/b.gguf', '.gitattributes', 'ünï.txt', 'console.json']) assert.equal(nameProblem(name), undefined);
  for (const key of ['m/../../x', 'm//etc/passwd', 'm/a\\b', `m/${'k'.repeat(5000)}`, 'm/aux']) {
    await using stub = await S3Stub.start([
      { key: 'm/w.gguf', body: gguf(100) },
      { key, body: Buffer.from('x') },
    ]);
    const root = temporaryDir(t);
    await assert.rejects(storeIn(root).fetch(model, options(stub.env)), { code: 'artifact_unavailable', problem: 'unsafe' });
    assert.equal(stub.reads.length, 0, 'before anything is fetched');
  }
});

row(140, async ({ t }) => {
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body: gguf(1000) }]);
  const [root, outside] = [temporaryDir(t), temporaryDir(t)];
  const first = await storeIn(root).fetch(model, options(stub.env));
  first.release();
  rmSync(first.path);
  writeFileSync(join(outside, 'w.gguf'), gguf(1000));
  symlinkSync(join(outside, 'w.gguf'), first.path);
  const again = await storeIn(root).fetch(model, options(stub.env));
  assert.ok(statSync(again.path).isFile() && readFileSync(again.path).length === 1000);
  assert.notDeepEqual(readFileSync(again.path), readFileSync(join(outside, 'w.gguf')), 'made anew');
  again.release();
  const planted = temporaryDir(t);
  symlinkSync(outside, join(planted, 'models'));
  await assert.rejects(storeIn(planted).fetch(model, options(stub.env)), /models is a symlink, which the gateway did not make/);
});

row(141, async ({ t }) => {
  const answers: readonly (readonly [Fault & { kind: 'error' }, string, RegExp, number])[] = [
    [{ kind: 'error', status: 403, code: 'AccessDenied' }, 'forbidden', /access denied \(AccessDenied\)\. .*s3:GetObject/, 1],
    [{ kind: 'error', status: 403, code: 'SignatureDoesNotMatch' }, 'forbidden', /does not know these credentials/, 1],
    [{ kind: 'error', status: 404, code: 'NoSuchBucket' }, 'missing', /there is no such bucket/, 1],
    [
      { kind: 'error', status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-3' } },
      'wrong-region',
      /AWS_REGION/,
      1,
    ],
    [{ kind: 'error', status: 403, code: 'RequestTimeTooSkewed' }, 'clock-skew', /Set it right \(NTP\)/, 1],
    [{ kind: 'error', status: 400, code: 'ExpiredToken' }, 'credentials', /have expired/, 1],
    [{ kind: 'error', status: 503, code: 'SlowDown' }, 'busy', /asks for patience/, 4],
  ];
  for (const [fault, problem, message, asked] of answers) {
    await using stub = await S3Stub.start();
    stub.fault = () => fault;
    await assert.rejects(storeIn(temporaryDir(t), { clock: impatient }).fetch(model, options(stub.env)), { problem, message });
    assert.equal(stub.seen.length, asked, fault.code);
  }
  await using stub = await S3Stub.start([{ key: 'other', body: Buffer.from('x') }]);
  await assert.rejects(storeIn(temporaryDir(t)).fetch(model, options(stub.env)), {
    problem: 'missing',
    message: /There is nothing at s3:\/\/bucket\/m/,
  });
  const sent = await survives(t, gguf(megabyte), (_, nth) =>
    nth > 2 && nth < 6 ? { kind: 'error', status: 503, code: 'SlowDown' } : undefined,
  );
  assert.equal(sent, megabyte);
});

row(142, async ({ t }) => {
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body: gguf(1000) }]);
  const store = storeIn(temporaryDir(t));
  (await store.fetch(referenceOf('s3://anonymous@bucket/m'), options(stub.env))).release();
  assert.ok(stub.seen.length >= 2 && stub.seen.every(({ authorization }) => authorization === undefined));
  (await store.fetch(model, options(stub.env))).release();
  assert.match(stub.seen.at(-1)?.authorization ?? '', /^AWS4-HMAC-SHA256 Credential=key\//);
  assert.equal(parseReference('s3://somebody@bucket/m').kind, 'bad');
});

row(143, async ({ t }) => {
  const files = Array.from({ length: 600 }, (_, at) => ({
    key: `m/part-${String(at).padStart(4, '0')}.json`,
    body: Buffer.from(String(at)),
  }));
  await using stub = await S3Stub.start([
    ...files,
    { key: 'm/empty', body: Buffer.alloc(0) },
    { key: 'm/w.gguf', body: gguf(megabyte + 1) },
  ]);
  stub.pageSize = 250;
  const lease = await storeIn(temporaryDir(t)).fetch(model, options(stub.env));
  assert.equal(stub.seen.filter(({ key }) => key === undefined).length, 3, 'pages of 250');
  assert.equal(readdirSync(join(lease.path, '..')).length, 602);
  assert.equal(stub.reads.filter(({ key }) => key === 'm/w.gguf').length, 5, 'parts');
  lease.release();
});

row(144, async ({ t }) => {
  // One part, and not a small file.
  const body = gguf(1.5 * megabyte);
  for (const way of ways) {
    await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
    const clock = new ManualClock();
    let stalled = false;
    stub.fault = ({ key }) => {
      if (key === undefined || stalled) return undefined;
      stalled = true;
      return { kind: 'stall', after: 65_536 };
    };
    const limits = { ...way, partBytes: 2 * megabyte };
    const fetched = storeIn(temporaryDir(t), { clock, limits }).fetch(model, options(stub.env));
    // Time stands still until the first bytes have left the store. From then on it is fast, but not faster than bytes can be.
    while (stub.sentBytes < 65_536) await settle();
    let lease: ModelLease | undefined;
    while (lease === undefined) {
      await clock.advance(1000);
      lease = await Promise.race([fetched, sleep(5, undefined)]);
    }
    assert.ok(readFileSync(lease.path).equals(body));
    assert.match(stub.reads[1]?.range ?? '', /^bytes=[1-9]\d*-1572863$/, 'it asks for the rest');
    lease.release();
  }
});

row(145, async ({ t }) => {
  await using stub = await S3Stub.start([
    { key: 'a/w.gguf', body: gguf(600 * kilobyte) },
    { key: 'b/w.gguf', body: gguf(600 * kilobyte) },
  ]);
  const root = temporaryDir(t);
  const maxBytes = megabyte;
  const [one, other] = [storeIn(root, { maxBytes }), storeIn(root, { maxBytes })];
  const [a, b] = [referenceOf('s3://bucket/a'), referenceOf('s3://bucket/b')];
  const held = await one.fetch(a, options(stub.env));
  await assert.rejects(other.fetch(b, options(stub.env)), /models in use have 614 KB; gateway\.cache\.max_bytes is 1\.0 MB/);
  assert.ok(existsSync(held.path), 'in use');
  held.release();
  const next = await other.fetch(b, options(stub.env));
  assert.ok(!existsSync(held.path), 'the least recently used');
  next.release();
});

row(146, async ({ t }) => {
  const trust = { trustRemoteCode: true };
  await using stub = await S3Stub.start([
    { key: 'm/config.json', body: Buffer.from('{}') },
    { key: 'm/pytorch_model.bin', body: Buffer.from('pickle') },
  ]);
  const store = storeIn(temporaryDir(t));
  await assert.rejects(store.fetch(model, options(stub.env)), { problem: 'unsafe', message: /only as pickle .*trust_remote_code: true/ });
  (await store.fetch(model, options(stub.env, trust))).release();
  const header = Buffer.from('\x02\0\0\0\0\0\0\0{}');
  stub.put({ key: 'm/model.safetensors', body: header });
  const safe = await store.fetch(model, options(stub.env));
  assert.deepEqual(readdirSync(safe.path).sort(), ['config.json', 'model.safetensors']);
  safe.release();
  stub.put({ key: 'm/config.json', body: Buffer.from('{"auto_map": {"AutoModel": "modeling.Evil"}}') });
  await assert.rejects(store.fetch(model, options(stub.env)), /auto_map in config\.json.*trust_remote_code: true/);
  (await store.fetch(model, options(stub.env, trust))).release();
  await assert.rejects(store.fetch(model, options(stub.env)), /auto_map/, 'also of what is here');
});

row(147, async ({ t }) => {
  // One of a single part, and one of several, of which the store is asked for digests.
  await using stub = await S3Stub.start([
    { key: 'm/a.gguf', body: gguf(1000) },
    { key: 'm/b.gguf', body: gguf(600 * kilobyte) },
  ]);
  (await storeIn(temporaryDir(t)).fetch(model, options(stub.env))).release();
  const asks = stub.seen.filter(({ headers }) => Object.keys(headers).some((name) => /checksum/i.test(name)));
  assert.deepEqual(
    asks.map(({ method, key }) => [method, key]),
    [['HEAD', 'm/b.gguf']],
  );
  const plain = new S3Client({});
  assert.equal(await plain.config.responseChecksumValidation(), 'WHEN_SUPPORTED', 'the default of the SDK, which asks');
});
