import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { GcsSource } from '../../src/models/sources/gcs.ts';
import type { RemoteObject } from '../../src/models/source.ts';
import { GcsServer } from '../support/gcs-server.ts';
import { skipGcs } from '../support/object-stores.ts';
import { sinkOf } from '../support/byte-sink.ts';
import { collect, gguf, options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';

const megabyte = 1024 * 1024;
const { signal } = new AbortController();
const model = referenceOf('gs://bucket/m');
assert.ok(model.kind === 'gs');

describe('a bucket of Google’s, on a server that speaks its API', { skip: skipGcs }, () => {
  it('is brought here in parts, verified by the store’s MD5', async (t) => {
    await using server = await GcsServer.start();
    await server.createBucket('bucket');
    const body = gguf(megabyte + 17);
    await server.put('bucket', 'm/sub dir/w+ü.gguf', body);
    await server.put('bucket', 'm/config.json', Buffer.from('{}'));
    await server.put('bucket', 'm-other/no', Buffer.from('no'));
    const lease = await storeIn(temporaryDir(t)).fetch(model, options(server.env));
    assert.ok(readFileSync(join(lease.path, 'sub dir/w+ü.gguf')).equals(body));
    assert.ok(existsSync(join(lease.path, 'config.json')));
    lease.release();
    const [listed] = await collect((await GcsSource.open(model, server.env)).list(signal));
    assert.match(listed?.digests.md5 ?? '', /^[0-9a-f]{32}$/);
  });

  it('gives one object where the source names one', async (t) => {
    await using server = await GcsServer.start();
    await server.createBucket('bucket');
    const body = gguf(1000);
    await server.put('bucket', 'm/w.gguf', body);
    await server.put('bucket', 'm/w.gguf.old', gguf(1001));
    const lease = await storeIn(temporaryDir(t)).fetch(referenceOf('gs://bucket/m/w.gguf'), options(server.env));
    assert.ok(readFileSync(lease.path).equals(body));
    lease.release();
  });

  it('is listed page by page', async () => {
    await using server = await GcsServer.start();
    await server.createBucket('bucket');
    const names = Array.from({ length: 1203 }, (_, at) => `m/part-${String(at).padStart(5, '0')}.json`);
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map(async (name) => await server.put('bucket', name, Buffer.from(name))));
    const page = (await (await fetch(`${server.url}/storage/v1/b/bucket/o?maxResults=1000`)).json()) as { readonly nextPageToken?: string };
    assert.ok(page.nextPageToken !== undefined, 'more than the server tells at once');
    const source = await GcsSource.open(model, server.env);
    assert.deepEqual(
      (await collect(source.list(signal))).map(({ key }) => key),
      names,
    );
    source.close();
  });

  it('tells that an object was replaced since it was listed', async () => {
    await using server = await GcsServer.start();
    await server.createBucket('bucket');
    await server.put('bucket', 'm/w.gguf', gguf(1000));
    const source = await GcsSource.open(model, server.env);
    const [object] = await collect(source.list(signal));
    assert.ok(object !== undefined);
    await server.put('bucket', 'm/w.gguf', gguf(1000));
    const read = async (of: RemoteObject): Promise<void> => {
      await source.read(of, { start: 0, end: 100 }, sinkOf(Buffer.alloc(100)), signal);
    };
    await assert.rejects(read(object), { problem: 'changed' });
    const [fresh] = await collect(source.list(signal));
    assert.ok(fresh !== undefined && fresh.etag !== object.etag);
    await read(fresh);
    source.close();
  });

  it('says which bucket there is not', async (t) => {
    await using server = await GcsServer.start();
    await assert.rejects(storeIn(temporaryDir(t)).fetch(model, options(server.env)), {
      problem: 'missing',
      message: /gs:\/\/bucket\/m: not found \(404\)\. Check the bucket and the prefix/,
    });
  });
});
