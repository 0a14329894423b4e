import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { chat, dataPlane, model, scriptedEngine } from '../support/data-plane.ts';

interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly code: string; readonly param: string | null };
}

const errorOf = async (response: Response): Promise<ErrorBody['error']> => ((await response.json()) as ErrorBody).error;

describe('bad input', () => {
  const cases: readonly [name: string, body: unknown, status: number, code: string, message: RegExp, path?: string][] = [
    ['an unknown model', chat({ model: 'nope' }), 404, 'model_not_found', /"nope" does not exist here\. Models served: 'test\/model:1'/],
    ['malformed JSON', '{"model":', 400, 'request_invalid', /not valid JSON/],
    ['no body', '', 400, 'request_invalid', /empty/],
    ['not an object', '[1]', 400, 'request_invalid', /an object at byte 0/],
    ['missing messages', { model }, 400, 'request_invalid', /'messages' is missing/],
    ['missing prompt', { model }, 400, 'request_invalid', /'prompt' is missing/, '/v1/completions'],
    ['messages of the wrong type', chat({ messages: 'hi' }), 400, 'request_invalid', /'messages' must be array, not string/],
    [
      'temperature of the wrong type',
      chat({ temperature: 'hot' }),
      400,
      'request_invalid',
      /'temperature' must be number or null, not string/,
    ],
    ['stream of the wrong type', chat({ stream: 'yes' }), 400, 'request_invalid', /'stream' must be boolean or null/],
    ['a model of the wrong type', chat({ model: 7 }), 400, 'request_invalid', /'model' must be string, not number/],
    ['a key twice', `{"model":"${model}","model":"other","messages":[]}`, 400, 'request_invalid', /"model" stands twice/],
    ['a body over the limit', chat({ user: 'x'.repeat(5000) }), 413, 'body_too_large', /larger than 4096 bytes/],
    ['an unknown route', {}, 404, 'route_not_found', /POST \/v1\/nope is not served here/, '/v1/nope'],
    ['a wrong method', {}, 405, 'method_not_allowed', /\/v1\/models takes GET, HEAD, not POST/, '/v1/models'],
    ['a wrong method on a model', {}, 405, 'method_not_allowed', /takes GET, HEAD, not POST/, '/v1/models/a/b'],
  ];
  for (const [name, body, status, code, message, path] of cases) {
    test(`${name}: ${status} ${code}`, async (t) => {
      const gateway = await dataPlane(t, [], { maxBodyBytes: 4096 });
      const response = await gateway.post(body, undefined, path);
      assert.equal(response.status, status);
      const error = await errorOf(response);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(error.type, 'invalid_request_error');
      assert.match(response.headers.get('x-request-id') ?? '', /^[\w-]+$/);
      assert.equal(gateway.live.size, 0);
    });
  }

  test('what is not served is not served, whatever is sent there and however', async (t) => {
    const gateway = await dataPlane(t, []);
    const plain = { 'content-type': 'text/plain' };
    for (const [method, path, status, headers, body] of [
      ['POST', '/nope', 404, plain, 'hi'],
      ['POST', '/health', 405, plain, 'hi'],
      ['DELETE', '/v1/models/a', 405, {}, undefined],
      ['QUERY', '/health', 405, {}, undefined],
      ['QUERY', '/v1/chat/completions', 405, plain, 'hi'],
      ['QUERY', '/v1/audio/transcriptions', 405, { 'content-type': 'multipart/form-data; boundary=x' }, '--x--'],
    ] as const) {
      const reply = await fetch(gateway.url + path, { method, headers, body: body ?? null });
      assert.equal(reply.status, status, `${method} ${path}: ${await reply.text()}`);
    }
  });

  test('a long list of models is cut, a long name too', async (t) => {
    const gateway = await dataPlane(t, []);
    const { message } = await errorOf(await gateway.post(chat({ model: 'y'.repeat(5000) })));
    assert.ok(message.length < 300, message);
  });

  test('invalid UTF-8: 400', async (t) => {
    const gateway = await dataPlane(t, []);
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /not valid UTF-8/);
  });

  for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'application/json', 'content-encoding': 'gzip' }]) {
    test(`${JSON.stringify(headers)}: 415`, async (t) => {
      const gateway = await dataPlane(t, []);
      const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body: '{}' });
      assert.equal(response.status, 415);
      assert.equal((await errorOf(response)).code, 'media_type_unsupported');
    });
  }

  test('malformed HTTP is answered in the same shape and closed', async (t) => {
    const gateway = await dataPlane(t, []);
    const socket = connect(gateway.port, '127.0.0.1');
    socket.end('GET /health HTTP/1.1\r\nHost : a\r\n\r\n');
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal((JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as ErrorBody).error.code, 'request_invalid');
  });
});

describe('models', () => {
  test('lists them, and gives one by an id with slashes and colons, escaped or not', async (t) => {
    const gateway = await dataPlane(t, []);
    const card = { id: model, object: 'model', created: 1_700_000_000, owned_by: 'roundhouse', parent: null, status: 'ready' };
    assert.deepEqual(await (await fetch(`${gateway.url}/v1/models`)).json(), { object: 'list', data: [card] });
    assert.deepEqual(await (await fetch(`${gateway.url}/v1/models/${model}`)).json(), card);
    assert.deepEqual(await (await fetch(`${gateway.url}/v1/models/${encodeURIComponent(model)}`)).json(), card);
    const missing = await fetch(`${gateway.url}/v1/models/..%2f..%2fetc`);
    assert.equal(missing.status, 404);
    assert.equal((await errorOf(missing)).code, 'model_not_found');
  });
});

describe('health and readiness', () => {
  test('alive always; ready only with a replica, and not while draining', async (t) => {
    const gateway = await dataPlane(t, []);
    const status = async (path: string): Promise<number> => (await fetch(gateway.url + path)).status;
    assert.deepEqual([await status('/health'), await status('/ready')], [200, 503]);
    gateway.setReplicas([{ url: 'http://127.0.0.1:9' }]);
    assert.deepEqual([await status('/health'), await status('/ready')], [200, 200]);
    gateway.drain();
    assert.deepEqual([await status('/health'), await status('/ready')], [200, 503]);
  });

  test('a draining gateway takes no new request and asks the client to leave', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
    const gateway = await dataPlane(t, [engine]);
    gateway.drain();
    const response = await gateway.post(chat());
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('connection'), 'close');
    assert.equal((await errorOf(response)).code, 'shutting_down');
    assert.equal(engine.bodies.length, 0);
  });
});
