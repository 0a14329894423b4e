import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type Access, type AccessKey, keyDigest, noLimits } from '../../src/core/access.ts';
import { modelName } from '../../src/core/ids.ts';
import { Keyring } from '../../src/gateway/auth/keyring.ts';
import { chat, dataPlane, type DataPlaneUnderTest, model, scriptedEngine } from '../support/data-plane.ts';

const secret = 'alice-key-0123456789';
const keyOf = (key: string, more: Partial<AccessKey> = {}): AccessKey => ({
  name: 'alice',
  sha256: keyDigest(key),
  prefix: undefined,
  models: undefined,
  expiresAt: undefined,
  limits: noLimits,
  ...more,
});
const accessOf = (...keys: AccessKey[]): Access => ({ keys });

async function guarded(t: TestContext, access: Access, more: { wallClock?: () => number; aliases?: readonly string[] } = {}) {
  const engine = await scriptedEngine(t, (_request, response) => response.setHeader('content-type', 'application/json').end('{"id":"x"}'));
  return { engine, gateway: await dataPlane(t, [engine], { access, ...more }) };
}

const ask = (gateway: DataPlaneUnderTest, headers: Readonly<Record<string, string>>, body: object = chat()): Promise<Response> =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

describe('a key', () => {
  test('opens the API as a bearer token, in any case of the scheme, or as x-api-key', async (t) => {
    const { engine, gateway } = await guarded(t, accessOf(keyOf(secret)));
    for (const headers of [bearer(secret), { authorization: `bearer  ${secret} ` }, { 'x-api-key': secret }])
      assert.equal((await ask(gateway, headers)).status, 200, JSON.stringify(headers));
    assert.equal(engine.bodies.length, 3);
  });

  test('that is missing, wrong or malformed gets one and the same answer, and the engine sees nothing', async (t) => {
    const { engine, gateway } = await guarded(t, accessOf(keyOf(secret)));
    const wrong: readonly Record<string, string>[] = [
      {},
      bearer('wrong'),
      bearer(secret.slice(0, -1)),
      bearer(`${secret}x`),
      bearer('x'.repeat(9000)),
      { authorization: `Basic ${Buffer.from(`user:${secret}`).toString('base64')}` },
      { authorization: secret },
      { authorization: `Bearer ${secret} ${secret}` },
      { authorization: 'Bearer ' },
      { 'x-api-key': 'wrong' },
      bearer(keyDigest(secret)),
    ];
    for (const headers of wrong) {
      const reply = await ask(gateway, headers);
      assert.equal(reply.status, 401, JSON.stringify(headers).slice(0, 80));
      assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
      assert.equal(reply.headers.get('x-should-retry'), 'false');
      assert.deepEqual(await reply.json(), {
        error: {
          message: 'A valid API key is required: Authorization: Bearer <key>.',
          type: 'authentication_error',
          param: null,
          code: 'invalid_api_key',
        },
      });
    }
    assert.deepEqual(engine.bodies, []);
  });

  test('is asked for before the body, by each route but health and readiness', async (t) => {
    const { gateway } = await guarded(t, accessOf(keyOf(secret)));
    const status = async (path: string, init?: RequestInit): Promise<number> => (await fetch(gateway.url + path, init)).status;
    for (const path of ['/v1/models', `/v1/models/${model}`]) {
      assert.equal(await status(path), 401, path);
      assert.equal(await status(path, { headers: bearer(secret) }), 200, path);
    }
    assert.equal(await status('/v1/completions', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'no JSON' }), 401);
    assert.deepEqual([await status('/health'), await status('/ready')], [200, 200]);
    for (const path of ['/metrics', '/api/status', '/engines/x/health', '/nope']) assert.equal(await status(path), 404, path);
  });

  test('opens nothing from its expiry on', async (t) => {
    let now = 999;
    const { gateway } = await guarded(t, accessOf(keyOf(secret, { expiresAt: 1000 })), { wallClock: () => now });
    assert.equal((await ask(gateway, bearer(secret))).status, 200);
    now = 1000;
    assert.equal((await ask(gateway, bearer(secret))).status, 401);
  });

  test('for some models sees only those, and gets 403 for the others', async (t) => {
    const limited = keyOf('bobs-key-0123456789', { name: 'bob', models: [modelName('another')] });
    const { gateway } = await guarded(t, accessOf(keyOf(secret), limited), { aliases: ['short'] });
    const list = async (key: string): Promise<string[]> => {
      const reply = await fetch(`${gateway.url}/v1/models`, { headers: bearer(key) });
      return ((await reply.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
    };
    assert.deepEqual(await list(secret), [model, 'short']);
    assert.deepEqual(await list('bobs-key-0123456789'), []);
    for (const name of [model, 'short']) {
      const reply = await ask(gateway, bearer('bobs-key-0123456789'), chat({ model: name }));
      assert.equal(reply.status, 403);
      const { error } = (await reply.json()) as { error: { code: string; type: string; param: string } };
      assert.deepEqual([error.code, error.type, error.param], ['key_not_permitted', 'permission_error', 'model']);
    }
    const unknown = await ask(gateway, bearer('bobs-key-0123456789'), chat({ model: 'nope' }));
    assert.equal(unknown.status, 404);
    assert.doesNotMatch(await unknown.text(), /short/);
  });

  test('of another application opens nothing, and an application without one is open', async (t) => {
    const elsewhere = await guarded(t, accessOf(keyOf(secret, { prefix: '/elsewhere' })));
    assert.equal((await ask(elsewhere.gateway, {})).status, 200, 'only /elsewhere asks for a key');
    const here = await guarded(t, accessOf(keyOf(secret, { prefix: '/elsewhere' }), keyOf('root-key-0123456789', { prefix: '' })));
    assert.equal((await ask(here.gateway, bearer(secret))).status, 401);
    assert.equal((await ask(here.gateway, bearer('root-key-0123456789'))).status, 200);
  });

  test('that is taken away opens nothing from then on, and what runs on it goes on', async (t) => {
    const reached = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const engine = await scriptedEngine(t, (_request, response) => {
      reached.resolve();
      void release.promise.then(() => response.setHeader('content-type', 'application/json').end('{"id":"late"}'));
    });
    const gateway = await dataPlane(t, [engine], { access: accessOf(keyOf(secret)) });
    const running = ask(gateway, bearer(secret));
    await reached.promise;
    gateway.allow(accessOf(keyOf('new-key-0123456789')));
    assert.equal((await ask(gateway, bearer(secret))).status, 401);
    release.resolve();
    assert.deepEqual(await (await running).json(), { id: 'late' });
    assert.equal((await ask(gateway, bearer('new-key-0123456789'))).status, 200);
  });

  test('is never passed on to the engine', async (t) => {
    const seen: string[] = [];
    const engine = await scriptedEngine(t, (request, response) => {
      seen.push(request.rawHeaders.join('\n'));
      response.setHeader('content-type', 'application/json').end('{}');
    });
    const gateway = await dataPlane(t, [engine], { access: accessOf(keyOf(secret)) });
    await ask(gateway, { ...bearer(secret), 'x-api-key': secret, cookie: `k=${secret}` });
    assert.equal(seen.length, 1);
    assert.doesNotMatch(seen.join(), new RegExp(secret));
  });
});

test('a keyring finds each of many keys, those with digests that begin alike too, and nothing else', () => {
  const many = Array.from({ length: 5000 }, (_, at) => keyOf(`key-${at}`, { name: `n${at}` }));
  const alike = keyDigest('key-7').slice(0, 60).padEnd(64, '0');
  const ring = new Keyring([...many, keyOf('', { name: 'alike', sha256: alike }), keyOf('key-9', { name: 'twice' })]);
  for (const at of [0, 7, 4999]) assert.deepEqual(ring.find(`key-${at}`), [many[at]]);
  assert.deepEqual(
    ring.find('key-9').map(({ name }) => name),
    ['n9', 'twice'],
  );
  assert.deepEqual(ring.find('key-5000'), []);
});
