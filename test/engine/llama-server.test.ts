import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI, { APIError, BadRequestError, NotFoundError } from 'openai';
import { startGateway } from '../support/gateway-process.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';
import { until } from '../support/until.ts';

const model = 'smollm2-135m';
const question = {
  model,
  messages: [{ role: 'user' as const, content: 'What is the capital of France? Answer in one sentence.' }],
  temperature: 0,
  cache_prompt: false,
};
const long = {
  model,
  messages: [{ role: 'user' as const, content: 'Count from one to two hundred.' }],
  temperature: 0,
  max_tokens: 400,
  ignore_eos: true,
};

describe('a real llama-server', { skip: skipReal }, () => {
  test('chat, stream, completions, models and errors through the openai client; Ctrl-C leaves nothing', async (t) => {
    const gateway = await startGateway(t, [realModel(1)], { more: realEngine });
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'unused', maxRetries: 0 });

    const chat = await client.chat.completions.create(question);
    assert.match(chat.choices[0]?.message.content ?? '', /Paris/);
    assert.equal(chat.model, model);
    assert.ok((chat.usage?.completion_tokens ?? 0) > 0);

    let text = '';
    let last: string | null = null;
    for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
      last = chunk.choices[0]?.finish_reason ?? last;
    }
    assert.equal(text, chat.choices[0]?.message.content);
    assert.equal(last, 'stop');

    const completion = await client.completions.create({ model, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 });
    assert.equal(completion.choices[0]?.finish_reason, 'length');
    assert.ok(completion.choices[0]?.text.length > 0);

    assert.deepEqual(
      (await client.models.list()).data.map(({ id }) => id),
      [model],
    );
    assert.equal((await client.models.retrieve(model)).id, model);

    await assert.rejects(
      client.chat.completions.create({ ...question, model: 'nope' }),
      (error) => error instanceof NotFoundError && error.code === 'model_not_found',
    );
    await assert.rejects(client.models.retrieve('nope'), NotFoundError);
    await assert.rejects(
      client.chat.completions.create({ model, messages: 'hi' as never }),
      (error) => error instanceof BadRequestError && error.param === 'messages',
    );
    const tooLong = { ...question, messages: [{ role: 'user' as const, content: 'word '.repeat(3000) }] };
    await assert.rejects(
      client.chat.completions.create(tooLong),
      (error) => error instanceof BadRequestError && typeof error.code === 'string',
    );

    gateway.signal('SIGINT');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
  });

  test('a client that leaves frees the engine at once', async (t) => {
    const gateway = await startGateway(t, [realModel(1, { parallel: 1 })], { more: realEngine });
    const client = new AbortController();
    const response = await gateway.post({ ...long, stream: true }, client.signal);
    await response.body?.getReader().read();
    client.abort();
    // The only slot is free again long before 400 tokens could have been made.
    const chat = await gateway.post({ ...question, max_tokens: 4 });
    assert.equal(chat.status, 200);
    assert.match(await gateway.metrics(), /outcome="client_closed"\} 1\n/);
  });

  test('two replicas share the load; kill -9 of one: unbegun requests are answered, a begun stream ends with an error, it comes back', async (t) => {
    const gateway = await startGateway(t, [realModel(2)], { more: realEngine });
    const loads = async (): Promise<number[]> => (await gateway.status())[0]?.replicas.map(({ inFlight }) => inFlight) ?? [];
    const streams = await Promise.all([0, 1].map(() => gateway.post({ ...long, stream: true })));
    assert.deepEqual(await loads(), [1, 1]);
    const waiting = Array.from({ length: 4 }, () => gateway.post(question));
    await until('both work on three requests', async () => (await loads()).join() === '3,3');
    const victim = (await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail();
    process.kill(victim, 'SIGKILL');
    for (const reply of waiting) {
      const response = await reply;
      assert.equal(response.status, 200);
      assert.match(await response.text(), /Paris/);
    }
    const ends = (await Promise.all(streams.map((stream) => stream.text()))).map((received) => received.slice(-300));
    const broken = ends.filter((end) => end.endsWith('"code":"upstream_failed"}}\n\n'));
    const whole = ends.filter((end) => end.endsWith('data: [DONE]\n\n'));
    assert.deepEqual([broken.length, whole.length], [1, 1], ends.join('\n'));
    await until('the replica is back', async () => (await gateway.status())[0]?.replicas.every(({ state }) => state === 'ready') === true);
    assert.equal(
      (await gateway.status())[0]?.replicas.reduce((sum, { restarts }) => sum + restarts, 0),
      1,
    );
  });

  test('SIGTERM drains: a running stream ends whole, then the engine', async (t) => {
    const gateway = await startGateway(t, [realModel(1)], { more: realEngine });
    const response = await gateway.post({ ...long, max_tokens: 60, stream: true });
    const reader = (response.body ?? assert.fail()).getReader();
    await reader.read();
    gateway.signal('SIGTERM');
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
    assert.ok(rest.endsWith('data: [DONE]\n\n'));
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
  });

  test('a model file that is damaged: the cause is named, and no start is tried again', async (t) => {
    const damaged = { ...realModel(1), model_loading_config: { model_id: model, model_source: quickstart.engine } };
    const gateway = await startGateway(t, [damaged], { more: realEngine, until: /Listening at/ });
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'unused', maxRetries: 0 });
    await assert.rejects(
      client.chat.completions.create(question),
      (error) =>
        error instanceof APIError && error.status === 503 && error.code === 'start_failed' && /cannot load the model/.test(error.message),
    );
    assert.equal((await gateway.status())[0]?.replicas[0]?.state, 'failed');
  });
});
