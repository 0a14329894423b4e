import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { chat, dataPlane, event, eventually, scriptedEngine, model } from '../support/data-plane.ts';

const recorded = (file: string): string => readFileSync(new URL(`../fixtures/engines/${file}`, import.meta.url), 'utf8');
const streamHead = (response: ServerResponse): unknown => response.writeHead(200, { 'content-type': 'text/event-stream' });
const json = (response: ServerResponse, body: string): unknown => response.writeHead(200, { 'content-type': 'application/json' }).end(body);
const whole = (reason: string): string => `{"choices":[{"message":{"content":"x"},"finish_reason":"${reason}"}],"n":9223372036854775807}`;
interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly code: string; readonly param: string | null };
}

describe('parameters that the engine cannot honour', () => {
  const body = { model: 'test/model:1', prompt: 'x', echo: true, suffix: 'y', best_of: 1 };
  for (const policy of ['drop', 'warn', 'reject'] as const) {
    test(policy, async (t) => {
      const engine = await scriptedEngine(t, (_request, response) => json(response, whole('stop')));
      const gateway = await dataPlane(t, [engine], { engine: 'llamacpp', unsupportedParams: policy });
      const response = await gateway.post(body, undefined, '/v1/completions');
      assert.equal(response.headers.get('x-gateway-dropped-params'), policy === 'warn' ? 'echo, suffix' : null);
      if (policy !== 'reject') {
        assert.equal(response.status, 200);
        assert.deepEqual(JSON.parse(engine.bodies[0] ?? ''), { model: 'test/model:1', prompt: 'x' });
        return;
      }
      const { error } = (await response.json()) as ErrorBody;
      assert.equal(response.status, 400);
      assert.deepEqual([error.code, error.param, engine.bodies.length], ['param_unsupported', 'echo', 0]);
      assert.match(error.message, /'echo' has no effect on the model 'test\/model:1': llama-server cannot do this/);
    });
  }

  test('a rejected one does not wait for a replica first', async (t) => {
    const gateway = await dataPlane(t, [], { engine: 'llamacpp', unsupportedParams: 'reject' });
    assert.equal((await gateway.post(body, undefined, '/v1/completions')).status, 400);
    assert.equal(gateway.waiting(), 0);
  });
});

describe('an engine that gives a request up inside its reply', () => {
  test('in a whole reply: another replica answers', async (t) => {
    const first = await scriptedEngine(t, (_request, response) => json(response, whole('abort')));
    const other = await scriptedEngine(t, (_request, response) => json(response, whole('stop')));
    const gateway = await dataPlane(t, [first, other], { engine: 'vllm' });
    // It is passed over for a while, as one that says 503 is.
    for (let turn = 0; turn < 4; turn += 1) assert.equal(await (await gateway.post(chat())).text(), whole('stop'));
    assert.equal(first.bodies.length, 1);
    assert.deepEqual([gateway.inFlight(0), gateway.inFlight(1)], [0, 0]);
  });

  for (const file of ['vllm/sigterm-stream-end.sse', 'sglang/abort-request-stream-end.sse']) {
    test(`in a stream: what came before, an error event and no [DONE] (${file})`, async (t) => {
      const text = recorded(file);
      const [engine = ''] = file.split('/');
      const upstream = await scriptedEngine(t, (_request, response) => {
        streamHead(response);
        response.end(text);
      });
      const gateway = await dataPlane(t, [upstream], { engine });
      const received = await (await gateway.post(chat({ stream: true }))).text();
      const [before = '', error = '', ...rest] = received.split(/(?<=\n\n)/u);
      // vLLM's replies carry the name that it serves the model by, which is the client's; SGLang's is another one.
      const name = engine === 'sglang' ? model : 'tiny';
      assert.equal(before, text.split(/(?<=\n\n)/u)[0]?.replace('"model":"tiny"', `"model":"${name}"`));
      assert.match(error, /^data: \{"error":\{"message":".*it gave the request up.*,"code":"upstream_failed"\}\}\n\n$/u);
      assert.deepEqual(rest, []);
      await eventually(() => gateway.inFlight(0) === 0, 'the place is free again');
    });
  }
});

describe('an error inside a stream', () => {
  test('as its first event is the status it would have been, and another replica is asked', async (t) => {
    const full = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.end(recorded('sglang/queue-full-stream.sse'));
    });
    const other = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.end(event('[DONE]'));
    });
    const both = await dataPlane(t, [full, other], { engine: 'sglang' });
    for (let turn = 0; turn < 2; turn += 1) assert.equal(await (await both.post(chat({ stream: true }))).text(), event('[DONE]'));
    assert.deepEqual([both.inFlight(0), both.inFlight(1)], [0, 0]);

    const alone = await dataPlane(t, [full], { engine: 'sglang' });
    const response = await alone.post(chat({ stream: true }));
    const { error } = (await response.json()) as ErrorBody;
    assert.deepEqual(
      [response.status, error.message, error.type, error.code],
      [503, 'The request queue is full.', 'server_error', 'engine_error'],
    );
  });

  test('after others has OpenAI’s shape and ends it', async (t) => {
    const text = recorded('vllm/core-killed-stream-end.sse');
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.end(text);
    });
    const gateway = await dataPlane(t, [engine], { engine: 'vllm' });
    const [before, error, ...rest] = (await (await gateway.post(chat({ stream: true }))).text()).split(/(?<=\n\n)/u);
    assert.equal(before, text.split(/(?<=\n\n)/u)[0]);
    assert.deepEqual(JSON.parse((error ?? '').slice('data: '.length)), {
      error: {
        message: 'The engine has stopped.',
        type: 'server_error',
        param: null,
        code: 'engine_error',
      },
    });
    assert.deepEqual(rest, []);
  });
});

describe('replies', () => {
  test('a whole one is mended, with its new length, and keeps large integers', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => json(response, '{"model":"test/model:1","n":9223372036854775807}'));
    const gateway = await dataPlane(t, [engine], { engine: 'llamacpp', aliases: ['the-alias'] });
    const response = await gateway.post(chat({ model: 'the-alias' }));
    const expected = '{"model":"the-alias","n":9223372036854775807}';
    assert.equal(response.headers.get('content-length'), String(expected.length));
    assert.equal(await response.text(), expected);
  });

  test('a whole one too large to be held is passed on as it comes', async (t) => {
    const large = `{"x":"${'y'.repeat(33 * 1024 * 1024)}"}`;
    const engine = await scriptedEngine(t, (_request, response) => json(response, large));
    const gateway = await dataPlane(t, [engine], { engine: 'vllm' });
    assert.equal((await (await gateway.post(chat())).text()).length, large.length);
  });
});

describe('a client that leaves', () => {
  test('the engine that needs it is told to stop that very generation', async (t) => {
    const told = Promise.withResolvers<unknown>();
    const engine = await scriptedEngine(t, (request, response, body) => {
      if (request.url === '/abort_request') {
        response.end();
        told.resolve(JSON.parse(body));
        return;
      }
      streamHead(response);
      response.write(event({ n: 1 }));
    });
    const gateway = await dataPlane(t, [engine], { engine: 'sglang' });
    const leaving = new AbortController();
    const response = await gateway.post(chat({ stream: true }), leaving.signal);
    await (response.body ?? assert.fail('no body')).getReader().read();
    leaving.abort();
    const { rid } = JSON.parse(engine.bodies[0] ?? '') as { rid: string };
    assert.match(rid, /^chatcmpl-[0-9a-f-]{36}$/);
    assert.deepEqual(await told.promise, { rid });
    const counted = async (): Promise<string> => JSON.stringify(await gateway.metrics.snapshot());
    while (!(await counted()).includes('"abort":"asked"')) await new Promise((resolve) => setImmediate(resolve));
  });

  test('of another engine is only counted', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.write(event({ n: 1 }));
    });
    const gateway = await dataPlane(t, [engine], { engine: 'vllm' });
    const leaving = new AbortController();
    const response = await gateway.post(chat({ stream: true }), leaving.signal);
    await (response.body ?? assert.fail('no body')).getReader().read();
    leaving.abort();
    await engine.aborted(0);
    assert.match(JSON.stringify(await gateway.metrics.snapshot()), /"abort":"closed"/);
    assert.equal(engine.bodies.length, 1);
  });
});
