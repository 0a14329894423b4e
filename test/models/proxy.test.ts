import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { options, referenceOf, storeIn, temporaryDir } from '../support/model-store.ts';
import { S3Stub } from '../support/s3-stub.ts';

interface Proxy {
  readonly url: string;
  /** The hosts that it was asked for. */
  readonly asked: readonly string[];
}

/** A proxy that passes requests on to `port` of this machine, whatever host they are for, and opens no tunnel. */
async function proxyTo(t: TestContext, port: number): Promise<Proxy> {
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    const { host, pathname, search } = new URL(incoming.url ?? '');
    asked.push(host);
    const { method, headers } = incoming;
    request({ host: '127.0.0.1', port, method, path: pathname + search, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(response);
    }).end();
  });
  server.on('connect', ({ url = '' }: { readonly url?: string }, client: Socket) => {
    asked.push(`tunnel to ${url}`);
    client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'eu-north-1' };
const model = referenceOf('s3://bucket/m');
const body = Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), Buffer.alloc(600_000, 7)]);

describe('a proxy that the environment names', () => {
  it('is asked for the listing and for the bytes of a bucket', async (t) => {
    await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
    const proxy = await proxyTo(t, Number(new URL(stub.url).port));
    const env = { ...keys, AWS_ENDPOINT_URL: 'http://store.invalid:9000', HTTP_PROXY: proxy.url };
    (await storeIn(temporaryDir(t)).fetch(model, options(env))).release();
    assert.equal(stub.sentBytes, body.length);
    assert.deepEqual([...new Set(proxy.asked)], ['store.invalid:9000']);
  });

  it('is asked for a tunnel where the store speaks TLS', async (t) => {
    const proxy = await proxyTo(t, 1);
    const env = { ...keys, AWS_ENDPOINT_URL: 'https://store.invalid', https_proxy: proxy.url };
    const clock = { now: () => performance.now(), sleep: async () => undefined, after: () => () => undefined };
    await assert.rejects(storeIn(temporaryDir(t), { clock }).fetch(model, options(env)), { problem: 'unreachable' });
    assert.deepEqual([...new Set(proxy.asked)], ['tunnel to store.invalid:443']);
  });

  it('is passed by where NO_PROXY says so', async (t) => {
    await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
    const proxy = await proxyTo(t, 1);
    const env = { ...stub.env, HTTP_PROXY: proxy.url, NO_PROXY: '127.0.0.1' };
    (await storeIn(temporaryDir(t)).fetch(model, options(env))).release();
    assert.deepEqual(proxy.asked, []);
  });
});
