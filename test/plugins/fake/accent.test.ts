import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { event } from '../../support/data-plane.ts';
import { type FakeEngine, startFake } from '../../support/fake-engine.ts';

const messages = [{ role: 'user', content: 'one two three' }];

async function ask(engine: FakeEngine, body: object, path = '/v1/chat/completions'): Promise<{ status: number; body: unknown }> {
  const response = await engine.fetch(path, { method: 'POST', body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

async function streamed(engine: FakeEngine, body: object, path = '/v1/chat/completions'): Promise<string> {
  return (await engine.fetch(path, { method: 'POST', body: JSON.stringify({ ...body, stream: true }) })).text();
}

describe('dialect: vllm', () => {
  const refused: readonly (readonly [string, object, number, string, RegExp])[] = [
    ['another model', { model: 'nope', messages }, 404, 'model', /^The model `nope` does not exist\.$/],
    ['no tools', { messages, tools: [] }, 400, 'body', /`tools` must not be an empty array/],
    ['a choice without tools', { messages, tool_choice: 'auto' }, 400, 'body', /`tools` must be set/],
    [
      'a bare schema',
      { messages, response_format: { type: 'json_schema', json_schema: { type: 'object' } } },
      400,
      'body.response_format.json_schema.name',
      /Field required/,
    ],
  ];
  test('refuses what vLLM refuses, with numbers for codes', async (t) => {
    const engine = await startFake({ dialect: 'vllm' }, t);
    for (const [what, body, status, param, words] of refused) {
      const reply = await ask(engine, body);
      const { error } = reply.body as { error: { message: string; param: string; code: number } };
      assert.deepEqual([reply.status, error.param, error.code], [status, param, status], what);
      assert.match(error.message, words);
    }
    assert.equal((await ask(engine, { model: engine.servedName, messages, tool_choice: 'none' })).status, 200);
    const stranger = await fetch(`${engine.url}/v1/models`);
    assert.deepEqual([stranger.status, await stranger.json()], [401, { error: 'Unauthorized' }]);
  });
});

describe('dialect: sglang', () => {
  test('answers any model, and its errors are flat, in streams too', async (t) => {
    const engine = await startFake({ dialect: 'sglang', sse: 'error-mid', sse_after: 0 }, t);
    assert.equal((await ask(engine, { model: 'nope', messages })).status, 200);
    assert.deepEqual(await ask(engine, { messages: [] }), {
      status: 400,
      body: { object: 'error', message: 'messages: expected a non-empty array', type: 'BadRequestError', param: null, code: 400 },
    });
    const error = { object: 'error', type: 'InternalServerError', param: null, code: 500 };
    const last = (await streamed(engine, { messages })).split('data: ').at(-1) ?? '';
    assert.deepEqual(JSON.parse(last), { error: { ...error, message: 'The engine met an error in the middle of the stream.' } });
  });

  test('goes on without its client until it is told by name, and says abort', async (t) => {
    const engine = await startFake({ dialect: 'sglang', tokens: 100_000, tokens_per_s: 100 }, t);
    const leaving = new AbortController();
    const body = JSON.stringify({ messages, stream: true, rid: 'left' });
    const left = await engine.fetch('/v1/chat/completions', { method: 'POST', body, signal: leaving.signal });
    const staying = await engine.fetch('/v1/chat/completions', { method: 'POST', body: body.replace('left', 'stays') });
    const reader = (left.body ?? assert.fail()).getReader();
    await reader.read();
    leaving.abort();
    await assert.rejects(reader.read());
    const { running, aborted, tokens } = await engine.state();
    assert.deepEqual([running, aborted], [2, 0]);
    while ((await engine.state()).tokens < tokens + 20);
    assert.equal((await engine.state()).running, 2);
    for (const rid of ['left', 'stays', 'nobody']) assert.equal((await ask(engine, { rid }, '/abort_request')).status, 200);
    const events = (await staying.text()).split(/(?<=\n\n)/u);
    assert.match(events.at(-2) ?? '', /"id":"stays".*"finish_reason":"abort"/);
    assert.equal(events.at(-1), event('[DONE]'));
    while ((await engine.state()).running > 0);
    assert.equal((await engine.state()).aborted, 2);
  });
});

describe('dialect: llamacpp', () => {
  test('a message without a role is its own fault, with a number for a code', async (t) => {
    const engine = await startFake({ dialect: 'llamacpp' }, t);
    assert.deepEqual(await ask(engine, { messages: [{ content: 'x' }] }), {
      status: 500,
      body: { error: { code: 500, message: `Failed to parse messages: Missing 'role' in message: {"content":"x"}`, type: 'server_error' } },
    });
    assert.equal((await ask(engine, {}, '/abort_request')).status, 404);
  });

  test('its chat has no role, its completions have a chat’s ids and usage that nobody asked for', async (t) => {
    const engine = await startFake({ dialect: 'llamacpp' }, t);
    assert.ok(!(await streamed(engine, { messages })).includes('"role"'));
    const events = (await streamed(engine, { prompt: 'one two' }, '/v1/completions')).split(/(?<=\n\n)/u);
    assert.match(events[0] ?? '', /"id":"chatcmpl-/);
    assert.match(events.at(-2) ?? '', /"finish_reason":"stop".*"usage":\{"prompt_tokens":2,/);
    assert.equal(events.at(-1), event('[DONE]'));
  });

  test('closes the connection after a stream, having said that it stays', async (t) => {
    const engine = await startFake({ dialect: 'llamacpp' }, t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const headers = { authorization: `Bearer ${engine.apiKey}` };
    const request = httpRequest(`${engine.url}/v1/chat/completions`, { method: 'POST', agent, headers });
    const closed = once(request, 'socket').then(([socket]: unknown[]) => once(socket as IncomingMessage['socket'], 'close'));
    request.end(JSON.stringify({ messages, stream: true }));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.match(await text(response), /\[DONE\]/);
    assert.equal(response.headers.connection, 'keep-alive');
    await closed;
  });
});
