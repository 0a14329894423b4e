import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { FetchProgress } from '../../src/models/progress.ts';
import { gguf, options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';
import { S3Stub } from '../support/s3-stub.ts';
import type { Fault } from '../support/s3-stub.ts';

const megabyte = 1024 * 1024;
const model = referenceOf('s3://bucket/models/one');

describe('the model store', () => {
  it('brings a directory here as it is in the bucket, and asks for it once', async (t) => {
    await using stub = await S3Stub.start([
      { key: 'models/one/config.json', body: Buffer.from('{}') },
      { key: 'models/one/sub/weights.gguf', body: gguf(megabyte + 17) },
      { key: 'models/one/empty', body: Buffer.alloc(0) },
      { key: 'models/one-more/other', body: Buffer.from('no') },
    ]);
    const root = temporaryDir(t);
    const told: FetchProgress[] = [];
    const lease = await storeIn(root).fetch(model, options(stub.env, { onProgress: (progress) => told.push(progress) }));
    assert.deepEqual(readdirSync(lease.path).sort(), ['config.json', 'empty', 'sub']);
    assert.equal(readFileSync(join(lease.path, 'sub/weights.gguf')).length, megabyte + 17);
    assert.deepEqual(
      // A slow machine is told more than once how far it is.
      [...new Set(told.map(({ kind }) => kind))],
      ['listing', 'downloading'],
    );
    const reads = stub.reads.length;
    const again = await storeIn(root).fetch(model, options(stub.env));
    assert.equal(again.path, lease.path);
    assert.equal(stub.reads.length, reads);
    assert.deepEqual(readdirSync(join(root, 'partial')), []);
    lease.release();
    again.release();
  });

  it('gives the file where the source names one', async (t) => {
    await using stub = await S3Stub.start([{ key: 'models/one.gguf', body: gguf(1000) }]);
    const lease = await storeIn(temporaryDir(t)).fetch(referenceOf('s3://bucket/models/one.gguf'), options(stub.env));
    assert.equal(readFileSync(lease.path).length, 1000);
    lease.release();
  });

  it('lets several callers share one download, and lets one of them go', async (t) => {
    await using stub = await S3Stub.start([{ key: 'models/one/a.gguf', body: gguf(2 * megabyte) }]);
    const store = storeIn(temporaryDir(t));
    const leaver = new AbortController();
    const left = store.fetch(model, options(stub.env, { signal: leaver.signal }));
    const stayed = [store.fetch(model, options(stub.env)), store.fetch(model, options(stub.env))];
    leaver.abort(new Error('left'));
    await assert.rejects(left, /left/);
    const leases = await Promise.all(stayed);
    assert.equal(stub.sentBytes, 2 * megabyte);
    for (const lease of leases) lease.release();
  });

  it('takes what is new in the bucket as another revision, and keeps the old one for whoever has it', async (t) => {
    await using stub = await S3Stub.start([{ key: 'models/one/a.gguf', body: gguf(1000) }]);
    const store = storeIn(temporaryDir(t));
    const old = await store.fetch(model, options(stub.env));
    stub.put({ key: 'models/one/a.gguf', body: gguf(2000) });
    const fresh = await store.fetch(model, options(stub.env));
    assert.notEqual(fresh.revision, old.revision);
    assert.ok(existsSync(old.path));
    old.release();
    fresh.release();
  });

  it('reads what it fetched before the machine was started anew, once, and fetches anew what a crash has taken', async (t) => {
    const body = gguf(300_000);
    await using stub = await S3Stub.start([{ key: 'models/one/a.gguf', body }]);
    const root = temporaryDir(t);
    const first = await storeIn(root).fetch(model, options(stub.env));
    first.release();
    const entryFile = join(first.root, '..', 'entry.json');
    const entry = JSON.parse(readFileSync(entryFile, 'utf8')) as { boot: string };
    const reboot = (): void => {
      writeFileSync(entryFile, JSON.stringify({ ...entry, boot: 'another' }));
    };
    const again = async (): Promise<readonly FetchProgress['kind'][]> => {
      const told: FetchProgress['kind'][] = [];
      const lease = await storeIn(root).fetch(model, options(stub.env, { onProgress: ({ kind }) => told.push(kind) }));
      assert.ok(readFileSync(lease.path).equals(body));
      lease.release();
      return [...new Set(told)];
    };
    reboot();
    assert.deepEqual(await again(), ['listing', 'verifying']);
    assert.deepEqual(await again(), ['listing'], 'once');
    reboot();
    writeFileSync(first.path, Buffer.alloc(body.length));
    assert.deepEqual(await again(), ['listing', 'verifying', 'downloading']);
    assert.equal(stub.sentBytes, 2 * body.length);
  });

  it('verifies a small file while it comes, and one that came in two pieces as a whole', async (t) => {
    const body = gguf(5000);
    const clock = { now: () => performance.now(), sleep: async () => undefined, after: () => () => undefined };
    const faults: readonly (readonly [Fault, number])[] = [
      [{ kind: 'flip', at: 100 }, 2 * body.length],
      [{ kind: 'cut', after: 3000 }, body.length],
    ];
    for (const [fault, bytes] of faults) {
      await using stub = await S3Stub.start([{ key: 'models/one/a.gguf', body }]);
      stub.fault = ({ key }) => (key !== undefined && stub.reads.length === 1 ? fault : undefined);
      const lease = await storeIn(temporaryDir(t), { clock }).fetch(model, options(stub.env));
      assert.ok(readFileSync(lease.path).equals(body), fault.kind);
      assert.equal(stub.sentBytes, bytes, fault.kind);
      lease.release();
    }
  });

  it('fetches the parts of a few files in turns, and makes these whole before it begins others', async (t) => {
    const files = 'abcdefg'.split('').map((name) => ({ key: `models/one/${name}.gguf`, body: gguf(megabyte) }));
    await using stub = await S3Stub.start(files);
    const lease = await storeIn(temporaryDir(t), { limits: { parallel: 1 } }).fetch(model, options(stub.env));
    for (const { key, body } of files) assert.ok(readFileSync(join(lease.path, key.slice('models/one/'.length))).equals(body));
    const left = new Map<string, number>();
    let mostAtOnce = 0;
    for (const { key = '' } of stub.reads) {
      left.set(key, (left.get(key) ?? 4) - 1);
      if (left.get(key) === 0) left.delete(key);
      mostAtOnce = Math.max(mostAtOnce, left.size);
    }
    assert.equal(left.size, 0);
    assert.equal(mostAtOnce, 4);
    assert.equal(new Set(stub.reads.slice(0, 4).map(({ key }) => key)).size, 4);
    lease.release();
  });

  it('starts with what is here when the store is away, and says so', async (t) => {
    const root = temporaryDir(t);
    const stub = await S3Stub.start([{ key: 'models/one/a.gguf', body: gguf(1000) }]);
    const first = await storeIn(root).fetch(model, options(stub.env));
    first.release();
    stub.fault = () => ({ kind: 'error', status: 503, code: 'SlowDown' });
    await using _ = stub;
    const clock = { now: () => performance.now(), sleep: async () => undefined, after: () => () => undefined };
    const lease = await storeIn(root, { clock }).fetch(model, options(stub.env));
    assert.equal(lease.path, first.path);
    assert.match(lease.stale ?? '', /SlowDown/);
    lease.release();
  });
});
