import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type Access, keyDigest, noLimits } from '../../src/core/access.ts';
import { chat, dataPlane, type DataPlaneUnderTest, scriptedEngine } from '../support/data-plane.ts';

const access: Access = {
  keys: [
    { name: 'a', sha256: keyDigest('a-key-0123456789'), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits },
  ],
};

type Options = Parameters<typeof dataPlane>[2];

async function gatewayOf(t: TestContext, options: Options = {}): Promise<DataPlaneUnderTest> {
  return dataPlane(t, [await scriptedEngine(t, (_request, response) => response.end('{}'))], options);
}

const preflight = (gateway: DataPlaneUnderTest, origin: string, path = '/v1/chat/completions'): Promise<Response> =>
  fetch(gateway.url + path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
  });

const originOf = (response: Response): string | null => response.headers.get('access-control-allow-origin');

describe('pages of other origins', () => {
  const cases: readonly (readonly [options: Options, origin: string, expected: string | null])[] = [
    [{}, 'http://localhost:3000', 'http://localhost:3000'],
    [{}, 'https://app.localhost', 'https://app.localhost'],
    [{}, 'http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    [{}, 'http://[::1]', 'http://[::1]'],
    [{}, 'tauri://localhost', 'tauri://localhost'],
    [{}, 'https://evil.example', null],
    [{}, 'https://localhost.evil.example', null],
    [{}, 'https://127.0.0.1.evil.example', null],
    [{}, 'null', null],
    [{ access }, 'https://any.example', '*'],
    [{ allowedOrigins: [] }, 'http://localhost', null],
    [{ allowedOrigins: ['*'] }, 'https://any.example', '*'],
    [{ allowedOrigins: ['https://a.example'] }, 'https://a.example', 'https://a.example'],
    [{ allowedOrigins: ['https://a.example'] }, 'https://a-example', null],
    [{ allowedOrigins: ['https://a.example'], access }, 'http://a.example', null],
    [{ allowedOrigins: ['https://*.a.example'] }, 'https://b.c.a.example', 'https://b.c.a.example'],
    [{ allowedOrigins: ['https://*.a.example'] }, 'https://a.example', null],
    [{ allowedOrigins: ['http://a.example:*'] }, 'http://a.example:81', 'http://a.example:81'],
    [{ allowedOrigins: ['http://a.example:*'] }, 'http://a.example.evil', null],
  ];
  for (const [options, origin, expected] of cases) {
    const setting = options?.allowedOrigins === undefined ? 'not set' : JSON.stringify(options.allowedOrigins);
    test(`${origin}, origins ${setting}${options?.access === undefined ? '' : ', with keys'}`, async (t) => {
      const gateway = await gatewayOf(t, options);
      const asked = await preflight(gateway, origin);
      assert.deepEqual([asked.status, originOf(asked)], [expected === null ? 405 : 204, expected]);
      const models = await fetch(`${gateway.url}/v1/models`, { headers: { origin } });
      assert.equal(models.status, options?.access === undefined ? 200 : 401, 'a preflight opens nothing');
      assert.equal(originOf(models), expected);
    });
  }

  test('a preflight tells methods, headers and how long; the reply of an engine may be read', async (t) => {
    const gateway = await gatewayOf(t);
    const origin = 'http://localhost:3000';
    const { headers } = await preflight(gateway, origin);
    assert.deepEqual(
      ['methods', 'headers'].map((what) => headers.get(`access-control-allow-${what}`)),
      ['POST', 'authorization,content-type'],
    );
    assert.deepEqual([headers.get('access-control-max-age'), headers.get('vary')], ['600', 'origin']);
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify(chat()),
    });
    assert.deepEqual([reply.status, await reply.text()], [200, '{}']);
    assert.equal(originOf(reply), origin);
    assert.equal(reply.headers.get('access-control-expose-headers'), '*');
    assert.equal((await preflight(gateway, origin, '/v1/nope')).status, 404);
    assert.equal(originOf(await fetch(`${gateway.url}/v1/models`)), null, 'nothing is said where nobody asks');
  });
});
