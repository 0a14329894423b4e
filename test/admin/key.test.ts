import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import type { Control } from '../../src/admin/api.ts';
import { buildAdmin } from '../../src/admin/server.ts';
import { type Access, keyDigest, noLimits } from '../../src/core/access.ts';

const admin = 'admin-key-0123456789';
const user = 'user-key-0123456789';
const users: Access = {
  keys: [{ name: 'u', sha256: keyDigest(user), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits }],
};

/** The admin listener with a control that says what it was asked for. */
async function listener(t: TestContext, sha256: string | undefined, access: () => Access = () => users) {
  const stops: string[] = [];
  const control = { access, status: () => ({ models: [] }), stop: () => ({ pid: stops.push('stop') }) } as unknown as Control;
  const deps = { metrics: () => Promise.resolve(''), control, sha256, allowedHosts: ['metrics.internal'] };
  const app = buildAdmin(deps, 'tcp');
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const ask = async (key: string | undefined, more: Readonly<Record<string, string>> = {}, method: 'GET' | 'POST' = 'GET') => {
    const post = method === 'POST' ? { body: '{}' } : {};
    const reply = await request(`${url}${method === 'GET' ? '/api/status' : '/api/stop'}`, {
      method,
      headers: {
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...more,
      },
      ...post,
    });
    const body = (await reply.body.json()) as { error?: { code: string } };
    return { status: reply.statusCode, code: body.error?.code, challenge: reply.headers['www-authenticate'] };
  };
  return { ask, stops };
}

test('with a key the admin listener asks for it, and a user’s key is no admin key', async (t) => {
  const { ask, stops } = await listener(t, keyDigest(admin));
  assert.deepEqual(await ask(admin), { status: 200, code: undefined, challenge: undefined });
  for (const wrong of [undefined, 'wrong', `${admin}x`])
    assert.deepEqual(await ask(wrong), { status: 401, code: 'invalid_api_key', challenge: 'Bearer' });
  assert.deepEqual(await ask(user), { status: 403, code: 'key_not_permitted', challenge: undefined });
  assert.equal((await ask(undefined, {}, 'POST')).status, 401);
  assert.deepEqual(stops, []);
  assert.equal((await ask(admin, {}, 'POST')).status, 200);
  assert.deepEqual(stops, ['stop']);
});

test('without one it is open to this machine, but not to a user’s key, as a reload has left them', async (t) => {
  let access = users;
  const { ask } = await listener(t, undefined, () => access);
  assert.equal((await ask(undefined)).status, 200);
  assert.equal((await ask(user)).status, 403);
  access = { keys: [] };
  assert.equal((await ask(user)).status, 200);
});

test('a rebound name, or a web page, reads nothing, even with the key', async (t) => {
  const { ask } = await listener(t, keyDigest(admin));
  assert.deepEqual(await ask(admin, { host: 'evil.example' }), { status: 403, code: 'admin_refused', challenge: undefined });
  assert.equal((await ask(admin, { origin: 'http://evil.example' })).code, 'admin_refused');
  assert.equal((await ask(admin, { host: 'metrics.internal:9464' })).status, 200);
});
