import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Operation } from '../../src/core/request.ts';
import { operationNames, operations } from '../../src/gateway/operations.ts';
import { chat, dataPlane, event, model, scriptedEngine } from '../support/data-plane.ts';
import { startFake } from '../support/fake-engine.ts';

const user = { role: 'user', content: 'one two' };
const bodies: Readonly<Record<Exclude<Operation, 'transcriptions'>, object>> = {
  chat: { messages: [user] },
  completions: { prompt: 'one two' },
  responses: { input: 'one two' },
  messages: { messages: [user], max_tokens: 9 },
  count_tokens: { messages: [user] },
  embeddings: { input: ['one', 'two'] },
  rerank: { query: 'one', documents: ['two', 'one'] },
  score: { text_1: 'one', text_2: ['one', 'two'] },
  tokenize: { prompt: 'one' },
  detokenize: { tokens: [111, 110, 101] },
};

/** Where replies are named after a model, and with what they show that the engine worked. */
const shows: Readonly<Record<Exclude<Operation, 'transcriptions'>, RegExp>> = {
  chat: /"content":"one two"/u,
  completions: /"text":"one two"/u,
  responses: /"type":"output_text","text":"one two"/u,
  messages: /"type":"text","text":"one two"/u,
  count_tokens: /^\{"input_tokens":2\}$/u,
  embeddings: /"index":1,"embedding":\[/u,
  rerank: /"results":\[\{"index":1,"relevance_score":1/u,
  score: /"score":1/u,
  tokenize: /^\{"count":3,"tokens":\[111,110,101\]\}$/u,
  detokenize: /^\{"prompt":"one"\}$/u,
};

const json = Object.keys(bodies) as (keyof typeof bodies)[];

for (const operation of json) {
  for (const route of operations[operation].routes) {
    test(`POST ${route} reaches the engine, with and without the model's name`, async (t) => {
      const engine = await startFake({}, t);
      const gateway = await dataPlane(t, [{ url: engine.url }], { aliases: ['alias'], engineKey: engine.apiKey });
      for (const named of [{ model }, { model: 'alias' }, {}]) {
        const response = await gateway.post({ ...named, ...bodies[operation] }, undefined, route);
        const text = await response.text();
        assert.equal(response.status, 200, text);
        assert.match(text, shows[operation]);
      }
      assert.equal((await engine.state()).requests, 3);
    });
  }
}

describe('an engine that does not serve an operation', () => {
  test('is named, with the route, and gets nothing', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
    const gateway = await dataPlane(t, [{ url: engine.url }], { engine: 'llamacpp' });
    const response = await gateway.post({ model, ...bodies.score }, undefined, '/v1/score');
    assert.equal(response.status, 404);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    assert.equal(error.code, 'operation_unsupported');
    assert.match(error.message, /\(llamacpp\) does not serve \/v1\/score/u);
    assert.deepEqual(engine.bodies, []);
  });
});

describe('streams', () => {
  for (const [operation, last] of [
    ['responses', 'response.completed'],
    ['messages', 'message_stop'],
  ] as const) {
    const [route] = operations[operation].routes;
    test(`${route}: as the engine sends it, with its own end and no [DONE]`, async (t) => {
      const engine = await startFake({}, t);
      const gateway = await dataPlane(t, [{ url: engine.url }], { engineKey: engine.apiKey });
      const text = await (await gateway.post({ model, ...bodies[operation], stream: true }, undefined, route)).text();
      assert.match(text, new RegExp(`event: ${last}\\ndata: [^\\n]+\\n\\n$`, 'u'));
      assert.doesNotMatch(text, /\[DONE\]/u);
    });

    test(`${route}: one that breaks ends with the API's own error event`, async (t) => {
      const engine = await startFake({ sse: 'cut', sse_after: 3 }, t);
      const gateway = await dataPlane(t, [{ url: engine.url }], { engineKey: engine.apiKey });
      const text = await (await gateway.post({ model, ...bodies[operation], stream: true }, undefined, route)).text();
      const data = /event: error\ndata: ([^\n]+)\n\n$/u.exec(text)?.[1];
      assert.ok(data !== undefined, text);
      const error = JSON.parse(data) as { type: string; code?: string; error?: { type: string } };
      assert.equal(error.type, 'error');
      if (operation === 'messages') assert.equal(error.error?.type, 'api_error');
      else assert.equal(error.code, 'upstream_failed');
    });

    test(`${route}: an engine's error event is passed on once, as the last one`, async (t) => {
      const engine = await scriptedEngine(t, (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`event: start\n${event({ type: 'start' })}`);
        response.end(`event: error\n${event({ type: 'error', error: { type: 'api_error', message: 'broken' } })}`);
      });
      const gateway = await dataPlane(t, [{ url: engine.url }], {});
      const text = await (await gateway.post({ model, ...bodies[operation], stream: true }, undefined, route)).text();
      assert.equal(text.match(/event: error/gu)?.length, 1, text);
      assert.match(text, /"message":"broken"/u);
    });
  }
});

test("errors of Anthropic's routes have its shape, whoever finds them", async (t) => {
  const gateway = await dataPlane(t, []);
  for (const [body, status, type] of [
    [{ model: 'nope', messages: [] }, 404, 'not_found_error'],
    [{ model }, 400, 'invalid_request_error'],
    ['{', 400, 'invalid_request_error'],
  ] as const) {
    const response = await gateway.post(body, undefined, '/v1/messages');
    assert.equal(response.status, status);
    const error = (await response.json()) as { type: string; error: { type: string; message: string } };
    assert.equal(error.type, 'error');
    assert.equal(error.error.type, type);
  }
});

test('a model that is not named is the only one; of two it must be said which', async (t) => {
  const gateway = await dataPlane(t, []);
  gateway.serve(['a', 'b']);
  const { model: _, ...unnamed } = chat();
  const response = await gateway.post(unnamed);
  assert.equal(response.status, 400);
  assert.match(await response.text(), /'model' is missing\. Models served: 'a', 'b'/u);
});

test('every operation has its routes for itself', () => {
  const routes = operationNames.flatMap((name) => operations[name].routes);
  assert.equal(new Set(routes).size, routes.length);
});

const form = (parts: Readonly<Record<string, string>>): FormData => {
  const data = new FormData();
  for (const [name, value] of Object.entries(parts)) data.append(name, value);
  data.append('file', new Blob(['\r\n--x\r\nRIFF']), 'a.wav');
  return data;
};

const part = (line: string): string => `--x\r\nContent-Disposition: form-data; name="${line.replace('\r', '"\r')}`;

describe('/v1/audio/transcriptions', () => {
  test('a form reaches the engine byte for byte, but for the name of the model', async (t) => {
    const seen: string[] = [];
    const engine = await scriptedEngine(t, (request, response) => {
      seen.push(request.headers['content-type'] ?? '');
      response.setHeader('content-type', 'application/json').end('{"text":"hello"}');
    });
    const gateway = await dataPlane(t, [{ url: engine.url }], { engine: 'vllm', aliases: ['alias'] });
    for (const parts of [{ model, language: 'en' }, { model: 'alias', language: 'en' }, { language: 'en' }]) {
      const request = new Request(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form(parts) });
      const sent = await request.clone().text();
      const response = await fetch(request);
      assert.equal(await response.text(), '{"text":"hello"}');
      const got = engine.bodies.at(-1) ?? '';
      assert.equal(seen.at(-1), request.headers.get('content-type'));
      if ('model' in parts) assert.equal(got, sent.replace('alias', model));
      else assert.ok(got.endsWith(sent) && got.includes(`name="model"\r\n\r\n${model}\r\n--`), got);
    }
  });

  for (const [name, contentType, body, status] of [
    ['two models', 'multipart/form-data; boundary=x', 'model\r\n\r\na\r\n--x\r\nmodel\r\n\r\nb', 400],
    ['no end', 'multipart/form-data; boundary=x', 'open', 400],
    ['no boundary', 'multipart/form-data', '', 400],
    ['JSON', 'application/json', '{}', 415],
  ] as const) {
    test(`${name}: ${status}`, async (t) => {
      const gateway = await dataPlane(t, []);
      const text = body === 'open' ? part('file\r\n\r\nabc') : body.split('--x\r\n').map(part).join('') + '\r\n--x--\r\n';
      const url = `${gateway.url}/v1/audio/transcriptions`;
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: contentType === 'application/json' ? body : text,
      });
      assert.equal(response.status, status, await response.clone().text());
    });
  }

  test('a form to a route that takes JSON: 415', async (t) => {
    const gateway = await dataPlane(t, []);
    const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body: form({ model }) });
    assert.equal(response.status, 415);
    assert.match(await response.text(), /must be 'application\/json'/u);
  });
});
