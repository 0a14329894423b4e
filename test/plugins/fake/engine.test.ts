import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { eventData } from '../../support/sse.ts';
import { fileCleanup, startFake } from '../../support/fake-engine.ts';
import type { FakeEngine } from '../../support/fake-engine.ts';
import { until } from '../../support/until.ts';

const cleanup = fileCleanup();
let engine: FakeEngine;
before(async () => {
  engine = await startFake({ tokens: 0 }, cleanup);
});

const chatBody = (content: unknown, rest: object = {}): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ model: 'any', messages: [{ role: 'user', content }], ...rest }),
});

const promptBody = (stream: boolean): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ prompt: 'a b c', max_tokens: 2, stream }),
});

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

describe('the fake engine', () => {
  test('shows its health without a key and nothing else', async () => {
    assert.deepEqual(await json(await fetch(`${engine.url}/health`)), { status: 'ok' });
    for (const path of ['/v1/models', '/metrics', '/fake/state', '/v1/chat/completions']) {
      const refused = await fetch(engine.url + path, { headers: { authorization: 'Bearer wrong' } });
      assert.equal(refused.status, 401, path);
      assert.deepEqual(await json(refused), {
        error: { message: 'Invalid API Key', type: 'authentication_error', param: null, code: 'invalid_api_key' },
      });
    }
  });

  test('lists the model it was started for', async () => {
    const { data } = (await json(await engine.fetch('/v1/models'))) as { data: { id: string }[] };
    assert.deepEqual(
      data.map((model) => model.id),
      [engine.servedName],
    );
  });

  test('answers a chat with an echo of the last message and counts its words', async () => {
    const reply = await json(await engine.fetch('/v1/chat/completions', chatBody('three blind  mice')));
    assert.equal(reply['object'], 'chat.completion');
    assert.equal(reply['model'], engine.servedName);
    const said = { message: { role: 'assistant', content: 'three blind  mice' }, logprobs: null };
    assert.deepEqual(reply['choices'], [{ index: 0, ...said, finish_reason: 'stop' }]);
    assert.deepEqual(reply['usage'], { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 });
  });

  test('streams the same reply as events, with usage only where it is asked for', async () => {
    for (const includeUsage of [false, true]) {
      const body = chatBody('größe 🎈 ok', { stream: true, stream_options: { include_usage: includeUsage } });
      const response = await engine.fetch('/v1/chat/completions', body);
      assert.equal(response.headers.get('content-type'), 'text/event-stream');
      const data = eventData(await response.text());
      assert.equal(data.at(-1), '[DONE]');
      const chunks = data.slice(0, -1).map((text) => JSON.parse(text) as Record<string, unknown>);
      const choices = chunks.flatMap(
        (chunk) => chunk['choices'] as { delta: { role?: string; content?: string }; finish_reason: string }[],
      );
      assert.equal(choices[0]?.delta.role, 'assistant');
      assert.equal(choices.map((choice) => choice.delta.content ?? '').join(''), 'größe 🎈 ok');
      assert.equal(choices.at(-1)?.finish_reason, 'stop');
      assert.deepEqual(
        chunks.flatMap((chunk) => chunk['usage'] ?? []),
        includeUsage ? [{ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 }] : [],
      );
    }
  });

  test('completes a prompt, streamed or not', async () => {
    const whole = await json(await engine.fetch('/v1/completions', promptBody(false)));
    assert.deepEqual(whole['choices'], [{ index: 0, text: 'a b', logprobs: null, finish_reason: 'length' }]);
    const data = eventData(await (await engine.fetch('/v1/completions', promptBody(true))).text());
    const texts = data.slice(0, -1).map((event) => (JSON.parse(event) as { choices: { text: string }[] }).choices[0]?.text);
    assert.deepEqual(texts, ['a', ' b', '']);
  });

  test('gives as many tokens as are set, and never more than the request allows', async () => {
    await engine.control({ tokens: 5, text: 'one two' });
    const content = async (rest: object): Promise<unknown> => {
      const { choices } = await json(await engine.fetch('/v1/chat/completions', chatBody('hi', rest)));
      const [choice] = choices as { message: { content: string }; finish_reason: string }[];
      return [choice?.message.content, choice?.finish_reason];
    };
    assert.deepEqual(await content({}), ['one two one two one', 'stop']);
    assert.deepEqual(await content({ max_tokens: 9 }), ['one two one two one', 'stop']);
    assert.deepEqual(await content({ max_tokens: 9, max_completion_tokens: 3 }), ['one two one', 'length']);
    await engine.control({ tokens: 0, text: '' });
  });

  const mistakes: readonly (readonly [string, string, string, string | null])[] = [
    ['/v1/chat/completions', '{"messages":', 'not valid JSON', null],
    ['/v1/chat/completions', '[]', 'must be a JSON object', null],
    ['/v1/chat/completions', '{}', 'messages: expected a non-empty array', 'messages'],
    ['/v1/chat/completions', '{"messages":[]}', 'messages: expected a non-empty array', 'messages'],
    ['/v1/chat/completions', '{"messages":[{"content":"x"}]}', 'messages[0]: expected an object with a role', 'messages'],
    ['/v1/chat/completions', '{"messages":[{"role":"user"}],"stream":"yes"}', 'stream: got "yes"', 'stream'],
    ['/v1/completions', '{}', 'prompt: expected', 'prompt'],
    ['/v1/completions', '{"prompt":"x","max_tokens":0}', 'max_tokens: got 0', 'max_tokens'],
    ['/v1/completions', '{"prompt":"x","n":2}', 'n: ', 'n'],
  ];
  for (const [path, body, message, param] of mistakes) {
    test(`refuses ${path} ${body}`, async () => {
      const response = await engine.fetch(path, { method: 'POST', body });
      const { error } = (await json(response)) as { error: { message: string; type: string; param: string | null } };
      assert.equal(response.status, 400);
      assert.ok(error.message.includes(message), error.message);
      assert.deepEqual([error.type, error.param], ['invalid_request_error', param]);
    });
  }

  test('refuses a prompt longer than its context, with the code that OpenAI uses', async () => {
    await engine.control({ max_model_len: 2 });
    const response = await engine.fetch('/v1/chat/completions', chatBody('one two three'));
    assert.equal(response.status, 400);
    assert.equal(((await json(response)) as { error: { code: string } }).error.code, 'context_length_exceeded');
    await engine.control({ max_model_len: 0 });
  });

  test('answers 404 to what it does not serve', async () => {
    assert.equal((await engine.fetch('/v1/images/generations', { method: 'POST', body: '{}' })).status, 404);
  });

  test('tells what it has seen, byte for byte', async () => {
    const body = '{"prompt": "über",  "max_tokens": 1}';
    await (await engine.fetch('/v1/completions', { method: 'POST', body, headers: { 'x-trace': 'a' } })).text();
    const seen = (await engine.state()).seen.at(-1);
    assert.equal(seen?.sha256, createHash('sha256').update(body).digest('hex'));
    assert.deepEqual([seen?.path, seen?.sizeBytes, seen?.headers['x-trace']], ['/v1/completions', Buffer.byteLength(body), 'a']);
  });

  test('stops generating when the client leaves, in the stream and before its first byte', async () => {
    for (const change of [
      { tokens: 100_000, tokens_per_s: 500, prefill_s: 0 },
      { tokens: 1, prefill_s: 3600 },
    ]) {
      const { aborted } = await engine.control(change);
      const client = new AbortController();
      const response = engine.fetch('/v1/chat/completions', { ...chatBody('go', { stream: true }), signal: client.signal });
      response.catch(() => undefined);
      await until('the request is open', async () => (await engine.state()).open === 1);
      if (change.prefill_s === 0) await response;
      client.abort();
      await until('the engine has noticed', async () => (await engine.state()).aborted === aborted + 1);
      assert.equal((await engine.state()).open, 0);
    }
    await engine.control({ tokens: 0, tokens_per_s: 0, prefill_s: 0 });
  });

  test('gives the place of a client back that leaves in the middle of a large write', async () => {
    await engine.control({ tokens: 3, sse: 'bigline', bigline_mb: 64 });
    const client = new AbortController();
    const response = await engine.fetch('/v1/chat/completions', { ...chatBody('go', { stream: true }), signal: client.signal });
    let receivedBytes = 0;
    for await (const piece of response.body ?? assert.fail()) {
      receivedBytes += piece.length;
      if (receivedBytes > 1024 * 1024) break;
    }
    client.abort();
    await until('its place is free', async () => (await engine.state()).running === 0);
    await engine.control({ tokens: 0, sse: 'ok' });
  });

  test('works on max_num_seqs requests at once, and lets the others wait in order', async () => {
    await engine.control({ max_num_seqs: 1, prefill_s: 3600 });
    const clients = [1, 2, 3].map(() => new AbortController());
    for (const [at, client] of clients.entries()) {
      engine.fetch('/v1/chat/completions', { ...chatBody('go'), signal: client.signal }).catch(() => undefined);
      await until('it arrived', async () => (await engine.state()).open === at + 1);
    }
    const page = await (await engine.fetch('/metrics')).text();
    assert.match(page, /^fake:requests_running 1$/mu);
    assert.match(page, /^fake:requests_waiting 2$/mu);
    clients[1]?.abort();
    await until('one left the queue', async () => (await engine.state()).waiting === 1);
    clients[0]?.abort();
    await until('the next one runs', async () => (await engine.state()).waiting === 0);
    assert.equal((await engine.state()).running, 1);
    clients[2]?.abort();
    await until('all have left', async () => (await engine.state()).open === 0);
    await engine.control({ max_num_seqs: 8, prefill_s: 0 });
  });

  test('sends its tokens at the set speed', async () => {
    await engine.control({ tokens: 11, tokens_per_s: 100 });
    const start = performance.now();
    await (await engine.fetch('/v1/chat/completions', chatBody('go'))).text();
    assert.ok(performance.now() - start >= 100, 'eleven tokens at 100 a second take a tenth of a second');
    await engine.control({ tokens: 0, tokens_per_s: 0 });
  });

  test('refuses control of what does not exist, is not valid, or works only at the start, and changes nothing then', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['{"prefil_s": 1, "tokens": 7}', /prefil_s: .*did you mean prefill_s\?/u],
      ['{"sse": "broken", "tokens": 7}', /sse: got "broken", expected one of ok, cut/u],
      ['{"fork": 1, "tokens": 7}', /fork: takes effect only at the start/u],
      ['[1]', /expected an object/u],
      ['{', /not valid JSON/u],
    ];
    for (const [body, message] of cases) {
      const response = await engine.fetch('/fake/control', { method: 'POST', body });
      assert.equal(response.status, 400, body);
      assert.match(((await json(response)) as { error: { message: string } }).error.message, message);
    }
    assert.equal((await engine.state()).settings.tokens, 0);
  });
});
