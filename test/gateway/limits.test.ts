import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type Access, type AccessKey, keyDigest, type KeyLimits, noLimits } from '../../src/core/access.ts';
import { modelName } from '../../src/core/ids.ts';
import { RateBoard } from '../../src/core/rate-board.ts';
import { durationOf } from '../../src/gateway/auth/duration.ts';
import { Seats } from '../../src/gateway/auth/seats.ts';
import { TokenMeter } from '../../src/gateway/auth/token-meter.ts';
import { chat, dataPlane, event, type DataPlaneUnderTest, eventually, model, scriptedEngine } from '../support/data-plane.ts';

const keyOf = (name: string, limits: Partial<KeyLimits> = {}): AccessKey => ({
  name,
  sha256: keyDigest(name),
  prefix: undefined,
  models: undefined,
  expiresAt: undefined,
  limits: { ...noLimits, ...limits },
});

const ask = (gateway: DataPlaneUnderTest, key: string, body: object = chat(), signal?: AbortSignal): Promise<Response> =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
    signal: signal ?? null,
  });

/** A gateway with an engine that says that each request used `tokens`, and a clock that is turned by hand. */
async function limited(t: TestContext, access: Access, tokens = 10) {
  let now = 0n;
  const engine = await scriptedEngine(t, (_request, response) =>
    response.setHeader('content-type', 'application/json').end(`{"id":"x","usage":{"prompt_tokens":1,"total_tokens":${tokens}}}`),
  );
  const gateway = await dataPlane(t, [engine], { access, nanoseconds: () => now });
  return { engine, gateway, pass: (seconds: number) => void (now += BigInt(seconds) * 1_000_000_000n) };
}

const rateHeaders = (reply: Response, kind: string): (string | null)[] =>
  ['limit', 'remaining', 'reset'].map((what) => reply.headers.get(`x-ratelimit-${what}-${kind}`));

describe('limits of a key', () => {
  test('on requests: 429 with when to try again and OpenAI’s headers; other keys are not concerned', async (t) => {
    const { engine, gateway, pass } = await limited(t, { keys: [keyOf('alice', { requestsPerMinute: 2 }), keyOf('bob')] });
    const first = await ask(gateway, 'alice');
    assert.equal(first.status, 200);
    assert.deepEqual(rateHeaders(first, 'requests'), ['2', '1', '30s']);
    assert.deepEqual(rateHeaders(first, 'tokens'), [null, null, null]);
    assert.equal((await ask(gateway, 'alice')).status, 200);
    const refused = await ask(gateway, 'alice');
    assert.equal(refused.status, 429);
    assert.deepEqual(
      ['retry-after', 'retry-after-ms', 'x-should-retry'].map((name) => refused.headers.get(name)),
      ['30', '30000', 'true'],
    );
    assert.deepEqual(rateHeaders(refused, 'requests'), ['2', '0', '1m0s']);
    const { error } = (await refused.json()) as { error: { code: string; type: string; message: string } };
    assert.deepEqual(
      [error.code, error.type, error.message],
      ['rate_limited', 'rate_limit_error', "The key 'alice' is limited to 2 requests a minute; try again in 30s."],
    );
    assert.equal((await ask(gateway, 'bob')).headers.get('x-ratelimit-limit-requests'), null);
    pass(30);
    assert.equal((await ask(gateway, 'alice')).status, 200);
    assert.equal(engine.bodies.length, 4);
  });

  test('on tokens: what the engine says was used counts, prompts by their bytes until then', async (t) => {
    const { gateway, pass } = await limited(t, { keys: [keyOf('alice', { tokensPerMinute: 600 })] }, 590);
    const promptTokens = Math.ceil(JSON.stringify(chat()).length / 4);
    assert.ok(promptTokens > 10, `${promptTokens}: the next request must not fit beside 590`);
    const first = await ask(gateway, 'alice');
    assert.deepEqual(rateHeaders(first, 'tokens').slice(0, 2), ['600', String(600 - promptTokens)]);
    await first.text();
    const refused = await ask(gateway, 'alice');
    assert.equal(refused.status, 429);
    pass(60);
    assert.equal((await ask(gateway, 'alice')).status, 200);
  });

  test('on tokens give back what a failed request reserved', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) =>
      response.writeHead(400, { 'content-type': 'application/json' }).end('{}'),
    );
    const gateway = await dataPlane(t, [engine], { access: { keys: [keyOf('alice', { tokensPerMinute: 1000 })] }, nanoseconds: () => 0n });
    for (let turn = 0; turn < 3; turn += 1) {
      const reply = await ask(gateway, 'alice', chat({ user: 'x'.repeat(2400) }));
      assert.equal(reply.status, 400, `turn ${turn}`);
    }
  });

  test('on requests at a time: a place is free again when one has ended or its client has left', async (t) => {
    const ends: (() => void)[] = [];
    const engine = await scriptedEngine(
      t,
      (_request, response) => void ends.push(() => response.setHeader('content-type', 'application/json').end('{}')),
    );
    const gateway = await dataPlane(t, [engine], {
      access: { keys: [keyOf('alice', { concurrency: 2 }), keyOf('bob', { concurrency: 1 })] },
    });
    const left = new AbortController();
    const leaves = assert.rejects(ask(gateway, 'alice', chat(), left.signal));
    const stays = ask(gateway, 'alice');
    await eventually(() => ends.length === 2, 'two at work');
    const refused = await ask(gateway, 'alice');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '1');
    const bob = ask(gateway, 'bob');
    await eventually(() => ends.length === 3, 'bob has his own');
    left.abort();
    await leaves;
    await eventually(() => gateway.live.size === 2, 'the gateway has seen that the client left');
    const next = ask(gateway, 'alice');
    await eventually(() => ends.length === 4, 'its place is taken again');
    assert.equal((await ask(gateway, 'alice')).status, 429);
    for (const end of ends) end();
    for (const reply of await Promise.all([stays, bob, next])) assert.equal(reply.status, 200);
    const last = ask(gateway, 'bob');
    await eventually(() => ends.length === 5, 'and again');
    ends[4]?.();
    assert.equal((await last).status, 200);
  });

  test('what one limit refuses takes nothing of the others', async (t) => {
    const limits = { concurrency: 1, requestsPerMinute: 2, tokensPerMinute: 100 };
    const { gateway } = await limited(t, { keys: [keyOf('alice', limits)] }, 30);
    assert.equal((await ask(gateway, 'alice', chat({ user: 'x'.repeat(10) }))).status, 200);
    const large = await ask(gateway, 'alice', chat({ user: 'x'.repeat(2000) }));
    assert.equal(large.status, 429);
    assert.deepEqual(rateHeaders(large, 'requests').slice(0, 2), ['2', '0'], 'as it was taken, before it was given back');
    const small = await ask(gateway, 'alice');
    assert.equal(small.status, 200, 'neither the place nor the request was used up');
    assert.deepEqual(rateHeaders(small, 'requests').slice(0, 2), ['2', '0']);
  });

  test('of one model hold beside those of the key, and say which refused', async (t) => {
    const ofModels = new Map([[modelName(model), { limits: { ...noLimits, requestsPerMinute: 2 } }]]);
    const access = { keys: [{ ...keyOf('alice', { requestsPerMinute: 3 }), ofModels }] };
    const { engine, gateway, pass } = await limited(t, access);
    const first = await ask(gateway, 'alice');
    assert.deepEqual(rateHeaders(first, 'requests').slice(0, 2), ['2', '1'], 'what is left of the tighter one');
    assert.equal((await ask(gateway, 'alice')).status, 200);
    const refused = await ask(gateway, 'alice');
    assert.equal(refused.status, 429);
    const { error } = (await refused.json()) as { error: { message: string } };
    assert.equal(error.message, `The key 'alice' is limited to 2 requests a minute of the model '${model}'; try again in 30s.`);
    pass(30);
    const after = await ask(gateway, 'alice');
    assert.equal(after.status, 200, 'what the model refused took nothing of the key');
    assert.equal(engine.bodies.length, 3);
  });

  test('of one model do not concern another, and count its tokens', async (t) => {
    const ofModels = new Map([
      [modelName('another'), { limits: { ...noLimits, requestsPerMinute: 1 } }],
      [modelName(model), { limits: { ...noLimits, tokensPerMinute: 100 } }],
    ]);
    const { gateway } = await limited(t, { keys: [{ ...keyOf('alice'), ofModels }] }, 60);
    const first = await ask(gateway, 'alice');
    assert.deepEqual(rateHeaders(first, 'requests'), [null, null, null]);
    assert.equal(rateHeaders(first, 'tokens')[0], '100');
    assert.equal((await ask(gateway, 'alice')).status, 200);
    const refused = await ask(gateway, 'alice');
    assert.equal(refused.status, 429, 'the engine said that two requests used 120');
    assert.match(await refused.text(), /100 tokens a minute of the model/);
  });

  test('are told in Anthropic’s shape on its routes, as are a wrong key and a model that is not for it', async (t) => {
    const own = { ...keyOf('bob'), models: [modelName('another')] };
    const { gateway } = await limited(t, { keys: [keyOf('alice', { requestsPerMinute: 1 }), own] });
    const send = async (key: string): Promise<readonly unknown[]> => {
      const headers = { 'content-type': 'application/json', 'x-api-key': key };
      const reply = await fetch(`${gateway.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(chat({ max_tokens: 1 })) });
      const { type, error } = (await reply.json()) as { type: string; error?: { type: string; code: string; message: string } };
      return [reply.status, type, error?.type, error?.code, reply.headers.has('retry-after')];
    };
    assert.equal((await send('alice'))[0], 200);
    assert.deepEqual(await send('alice'), [429, 'error', 'rate_limit_error', 'rate_limited', true]);
    assert.deepEqual(await send('wrong'), [401, 'error', 'authentication_error', 'invalid_api_key', false]);
    assert.deepEqual(await send('bob'), [403, 'error', 'permission_error', 'key_not_permitted', false]);
  });

  test('stay used over a reload, for the key of the same name', async (t) => {
    const { gateway } = await limited(t, { keys: [keyOf('alice', { requestsPerMinute: 1 })] });
    assert.equal((await ask(gateway, 'alice')).status, 200);
    gateway.allow({
      keys: [keyOf('carol', { requestsPerMinute: 1 }), { ...keyOf('alice', { requestsPerMinute: 1 }), sha256: keyDigest('new') }],
    });
    assert.equal((await ask(gateway, 'new')).status, 429);
    assert.equal((await ask(gateway, 'carol')).status, 200);
  });
});

const read = (chunks: readonly string[]): number => {
  const meter = new TokenMeter();
  for (const chunk of chunks) meter.saw(Buffer.from(chunk));
  return meter.total(7, false);
};

describe('a token meter', () => {
  const openai = event({ choices: [], usage: { prompt_tokens: 11, total_tokens: 42, completion_tokens: 31 } });
  const said = event({ choices: [{ delta: { content: 'He said "total_tokens": 999, and input_tokens' } }] });

  test('reads the usage of a reply and of a stream, however it is cut, and not what the model writes', () => {
    for (const whole of [`${said}${openai}${event('[DONE]')}`, JSON.stringify({ usage: { total_tokens: 42 } }, undefined, 1)])
      for (let cut = 0; cut <= whole.length; cut += 1) assert.equal(read([whole.slice(0, cut), whole.slice(cut)]), 42, `cut at ${cut}`);
    assert.equal(read(`${said}${openai}`.split('')), 42, 'byte by byte');
  });

  test('reads Anthropic’s, the last of each', () => {
    const start = event({ type: 'message_start', message: { usage: { input_tokens: 25, output_tokens: 1 } } });
    assert.equal(read([start, event({ type: 'message_delta', usage: { output_tokens: 15 } })]), 40);
  });

  test('counts events where a stream does not say, and nothing where nothing came', () => {
    assert.equal(read([said, said, said]), 10);
    assert.equal(read([]), 0);
    assert.equal(new TokenMeter().total(7, true), 7, 'a client that leaves before the first byte has had its prompt read');
  });
});

test('seats are kept by those that stay, given back by those that go, and given out in turn', () => {
  const seats = new Seats(RateBoard.create(1));
  const limits = { concurrency: 1 };
  const seatsOf = (...names: string[]): (number | undefined)[] =>
    seats.assign({ keys: names.map((name) => keyOf(name, name === 'free' ? {} : limits)) }).keys.map(({ seat }) => seat);
  assert.deepEqual(seatsOf('a', 'free', 'b'), [0, undefined, 1]);
  assert.deepEqual(seatsOf('c', 'b'), [2, 1]);
  assert.deepEqual(seatsOf('a', 'b', 'c'), [3, 1, 2]);
});

test('requests and tokens are counted by key only where that is asked for', async (t) => {
  const keys = [keyOf('alice'), keyOf('bob', { requestsPerMinute: 1 })];
  const counted = async (metricsByKey: boolean): Promise<readonly string[]> => {
    const engine = await scriptedEngine(t, (_request, response) =>
      response.setHeader('content-type', 'application/json').end('{"id":"x","usage":{"prompt_tokens":1,"total_tokens":7}}'),
    );
    const gateway = await dataPlane(t, [engine], { access: { keys }, metricsByKey });
    for (const key of ['alice', 'alice', 'bob', 'bob', 'wrong']) await (await ask(gateway, key)).text();
    await ask(gateway, 'alice', chat({ model: 'nope' }));
    const series = (await gateway.metrics.snapshot()) as { name: string; values: { value: number; labels: Record<string, string> }[] }[];
    return series
      .filter(({ name }) => name.startsWith('roundhouse_key_'))
      .flatMap(({ name, values }) => values.map(({ value, labels }) => `${name} ${Object.values(labels).join(' ')} ${value}`))
      .toSorted();
  };
  assert.deepEqual(await counted(false), []);
  assert.deepEqual(await counted(true), [
    'roundhouse_key_requests_total alice model_not_found 1',
    'roundhouse_key_requests_total alice ok 2',
    'roundhouse_key_requests_total bob ok 1',
    'roundhouse_key_requests_total bob rate_limited 1',
    'roundhouse_key_tokens_total alice 14',
    'roundhouse_key_tokens_total bob 7',
  ]);
});

test('each model with limits of its own has a seat of its own, kept as the key’s is', () => {
  const seats = new Seats(RateBoard.create(1));
  const ofModels = new Map([[modelName('m'), { limits: { ...noLimits, requestsPerMinute: 1 } }]]);
  const seatsOf = (...keys: AccessKey[]): unknown =>
    seats.assign({ keys }).keys.map(({ seat, ofModels: budgets }) => [seat, budgets?.get(modelName('m'))?.seat]);
  const [alice, bob] = [
    { ...keyOf('alice', { concurrency: 1 }), ofModels },
    { ...keyOf('bob'), ofModels },
  ];
  assert.deepEqual(seatsOf(alice, bob), [
    [0, 1],
    [undefined, 2],
  ]);
  assert.deepEqual(seatsOf(bob), [[undefined, 2]]);
});

test('durations are written as OpenAI does', () => {
  assert.deepEqual([0, 12, 999, 1000, 1540, 59_900, 60_000, 90_400].map(durationOf), [
    '0ms',
    '12ms',
    '999ms',
    '1s',
    '1.5s',
    '59.9s',
    '1m0s',
    '1m30s',
  ]);
});
