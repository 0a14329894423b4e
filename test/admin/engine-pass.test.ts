import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { text } from 'node:stream/consumers';
import { request } from 'undici';
import type { Control } from '../../src/admin/api.ts';
import { enginePath } from '../../src/admin/engine-pass.ts';
import { buildAdmin } from '../../src/admin/server.ts';
import { modelName, replicaId } from '../../src/core/ids.ts';
import { redactor } from '../../src/supervisor/redact.ts';

const engineKey = 'engine-key-canary';

/** The admin listener before one engine, `m #0`, which answers as it is told; `m #1` has no process. */
async function before(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const engine = createServer(answer).listen(0, '127.0.0.1');
  await once(engine, 'listening');
  t.after(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const upstream = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const replicas = [0, 1].map((index) => ({ id: replicaId(`m-${index}-x`), index }));
  const models = [
    { name: modelName('m'), replicas },
    { name: modelName('org/one'), replicas: [{ id: replicaId('one-0-x'), index: 0 }] },
  ];
  const control = {
    access: () => ({ keys: [] }),
    status: () => ({ models }),
    engine: (id: string) => (id === 'm-0-x' || id === 'one-0-x' ? { upstream, apiKey: engineKey } : undefined),
    redact: redactor([engineKey]),
  } as unknown as Control;
  const deps = { metrics: () => Promise.resolve(''), control, sha256: undefined, allowedHosts: [] };
  const app = buildAdmin(deps, 'tcp');
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

test('an engine is asked with its own key, and sees nothing of the client’s', async (t) => {
  const seen: string[] = [];
  const url = await before(t, (incoming, response) => {
    void text(incoming).then((body) => {
      seen.push(`${incoming.method} ${incoming.url} ${body}`, incoming.rawHeaders.join('\n').toLowerCase());
      return response.setHeader('set-cookie', 'a=b').setHeader('content-type', 'application/json').end(`{"api_key":"${engineKey}","n":1}`);
    });
  });
  const headers = { 'content-type': 'application/json', authorization: 'Bearer theirs', cookie: 'c=theirs', 'x-forwarded-for': 'theirs' };
  const reply = await request(`${url}/engines/m%230/tokenize?a=1`, { method: 'POST', headers, body: '{"prompt":"x"}' });
  assert.equal(reply.statusCode, 200);
  assert.deepEqual(await reply.body.json(), { api_key: '[redacted]', n: 1 });
  assert.equal(reply.headers['set-cookie'], undefined);
  assert.match(String(reply.headers['content-security-policy']), /sandbox/);
  assert.equal(seen[0], 'POST /tokenize?a=1 {"prompt":"x"}');
  assert.match(seen[1] ?? '', new RegExp(`bearer ${engineKey}`));
  assert.doesNotMatch(seen[1] ?? '', /theirs/);
});

test('a replica goes by its id or number, or by a model that has only one; others are named', async (t) => {
  const url = await before(t, (incoming, response) => response.end(incoming.url));
  const ask = async (target: string): Promise<[number, string]> => {
    const reply = await request(`${url}/engines/${encodeURIComponent(target)}/health`);
    return [reply.statusCode, await reply.body.text()];
  };
  for (const target of ['m-0-x', 'm #0', 'm#0', 'org/one']) assert.deepEqual(await ask(target), [200, '/health'], target);
  assert.match((await ask('m')).join(' '), /^400 .*m has several replicas; expected one of m#0, m#1/);
  assert.match((await ask('m#1')).join(' '), /^502 .*m #1 has no process now/);
  assert.match((await ask('nope')).join(' '), /^404 .*model_not_found/);
});

test('a client that leaves ends the request at the engine before it has answered', async (t) => {
  const reached = Promise.withResolvers<IncomingMessage>();
  const url = await before(t, (incoming) => reached.resolve(incoming));
  const left = new AbortController();
  const leaves = assert.rejects(request(`${url}/engines/m%230/slow`, { signal: left.signal }));
  const incoming = await reached.promise;
  const closed = once(incoming.socket, 'close');
  left.abort();
  await leaves;
  await closed;
});

test('no path leaves the engine’s origin', () => {
  const paths: readonly [url: string, path: string][] = [
    ['/engines/m/health', '/health'],
    ['/engines/m%230/a/../b?c=/engines/d', '/b?c=/engines/d'],
    ['/engines/m//evil.example/x', '/evil.example/x'],
    [String.raw`/engines/m/\evil.example/x`, '/evil.example/x'],
    ['/engines/m/%2e%2e/%2e%2e/etc', '/etc'],
    ['/engines/m/@evil.example/', '/@evil.example/'],
    ['/engines/m/http://evil.example/', '/http://evil.example/'],
    ['/engines/m/', '/'],
  ];
  for (const [url, path] of paths) assert.equal(enginePath(url), path, url);
});
