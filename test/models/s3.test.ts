import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { S3Source } from '../../src/models/sources/s3.ts';
import type { RemoteObject } from '../../src/models/source.ts';
import { skipS3 } from '../support/object-stores.ts';
import { sinkOf } from '../support/byte-sink.ts';
import { collect, gguf, options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';
import { S3Server } from '../support/s3-server.ts';

const megabyte = 1024 * 1024;
const { signal } = new AbortController();
const model = referenceOf('s3://bucket/m');
assert.ok(model.kind === 's3');

describe('a bucket on a real S3 server', { skip: skipS3 }, () => {
  it('is brought here in signed parts', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    const body = gguf(megabyte + 17);
    await server.put('bucket', 'm/sub dir/w+ü=(1).gguf', body);
    await server.put('bucket', 'm/config.json', Buffer.from('{}'));
    await server.put('bucket', 'm/empty', Buffer.alloc(0));
    await server.put('bucket', 'm-other/no', Buffer.from('no'));
    const lease = await storeIn(temporaryDir(t)).fetch(model, options(server.env));
    assert.deepEqual(readdirSync(lease.path).sort(), ['config.json', 'empty', 'sub dir']);
    assert.ok(readFileSync(join(lease.path, 'sub dir/w+ü=(1).gguf')).equals(body));
    lease.release();
  });

  it('refuses another secret, an unknown key and nobody, and we say what is wrong', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    await server.put('bucket', 'm/w.gguf', gguf(1000));
    const store = storeIn(temporaryDir(t));
    const secret = { ...server.env, AWS_SECRET_ACCESS_KEY: 'another' };
    await assert.rejects(store.fetch(model, options(secret)), {
      problem: 'forbidden',
      message: /does not know these credentials \(SignatureDoesNotMatch\)\. Check AWS_ACCESS_KEY_ID/,
    });
    const key = { ...server.env, AWS_ACCESS_KEY_ID: 'AKIAOTHER' };
    await assert.rejects(store.fetch(model, options(key)), { problem: 'forbidden', message: /does not know these credentials/ });
    await assert.rejects(store.fetch(referenceOf('s3://anonymous@bucket/m'), options(server.env)), {
      problem: 'forbidden',
      message: /access denied \(AccessDenied\)/,
    });
  });

  it('serves anybody where its policy says so', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('public', { anonymous: true });
    const body = gguf(600_000);
    await server.put('public', 'm/w.gguf', body);
    const { AWS_ENDPOINT_URL } = server.env;
    const lease = await storeIn(temporaryDir(t)).fetch(referenceOf('s3://anonymous@public/m'), options({ AWS_ENDPOINT_URL }));
    assert.ok(readFileSync(lease.path).equals(body));
    lease.release();
  });

  it('says which bucket, and which prefix, there is not', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    const store = storeIn(temporaryDir(t));
    await assert.rejects(store.fetch(model, options(server.env)), { problem: 'missing', message: /There is nothing at s3:\/\/bucket\/m/ });
    await assert.rejects(store.fetch(referenceOf('s3://other-bucket/m'), options(server.env)), {
      problem: 'missing',
      message: /s3:\/\/other-bucket\/m: there is no such bucket/,
    });
  });

  it('says that the region is another one', async (t) => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    await assert.rejects(storeIn(temporaryDir(t)).fetch(model, options({ ...server.env, AWS_REGION: 'eu-west-3' })), {
      problem: 'wrong-region',
      message: /the bucket is in the region us-east-1\. Set AWS_REGION=us-east-1/,
    });
  });

  it('tells that an object was replaced since it was listed', async () => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    await server.put('bucket', 'm/w.gguf', gguf(1000));
    const source = await S3Source.open(model, server.env);
    const [object] = await collect(source.list(signal));
    assert.ok(object !== undefined);
    await server.put('bucket', 'm/w.gguf', gguf(1000));
    const read = async (of: RemoteObject): Promise<void> => {
      await source.read(of, { start: 0, end: 100 }, sinkOf(Buffer.alloc(100)), signal);
    };
    await assert.rejects(read(object), { problem: 'changed' });
    source.close();
  });

  it('is listed page by page', async () => {
    await using server = await S3Server.start();
    await server.createBucket('bucket');
    const names = Array.from({ length: 1203 }, (_, at) => `m/part-${String(at).padStart(5, '0')}.json`);
    server.plant('bucket', names);
    const source = await S3Source.open(model, server.env);
    assert.deepEqual(
      (await collect(source.list(signal))).map(({ key }) => key),
      names,
    );
    source.close();
  });
});
