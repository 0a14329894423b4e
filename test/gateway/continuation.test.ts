import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { resumable } from '../../src/gateway/openai/continuation.ts';
import {
  chat,
  dataPlane,
  event,
  eventually,
  model,
  type ScriptedEngine,
  scriptedEngine,
  type DataPlaneUnderTest,
} from '../support/data-plane.ts';
import { requestOf } from '../support/request.ts';

interface Chunk {
  readonly id: string;
  readonly model: string;
  readonly choices: readonly {
    readonly delta: { readonly role?: string; readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Readonly<Record<string, number>>;
}

/** An engine that says `words` behind what it is given as the assistant's beginning, and may break off after some. */
const speaker =
  (words: readonly string[], breakOff: (response: ServerResponse) => void, after: () => number, id: string) =>
  (_request: unknown, response: ServerResponse, body: string): void => {
    const asked = JSON.parse(body) as { messages: { role: string; content: string }[]; stream_options?: unknown; max_tokens?: number };
    const last = asked.messages.at(-1);
    const said = last?.role === 'assistant' ? last.content : '';
    const rest = words.slice(words.findIndex((_, at) => words.slice(0, at).join('') === said)).slice(0, asked.max_tokens);
    const chunk = (delta: object, finish: string | null = null): string =>
      event({ id, object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(chunk({ role: 'assistant', content: '' }));
    const count = after();
    for (const word of rest.slice(0, count)) response.write(chunk({ content: word }));
    if (count < rest.length) {
      // The bytes must be out before the connection breaks.
      setImmediate(() => setImmediate(() => breakOff(response)));
      return;
    }
    response.write(chunk({}, 'stop'));
    const prompt = 5 + words.length - rest.length;
    const usage = { prompt_tokens: prompt, completion_tokens: rest.length, total_tokens: prompt + rest.length };
    if (asked.stream_options !== undefined) response.write(event({ id, model, choices: [], usage }));
    response.end(event('[DONE]'));
  };

/** One that breaks the connection after so many words. */
const breaksAfter = (t: TestContext, count: () => number): Promise<ScriptedEngine> =>
  scriptedEngine(
    t,
    speaker(words, (response) => response.destroy(), count, 'first'),
  );

const words = ['Once', ' upon', ' a', ' time', ' there', ' was', ' a', ' hörse', ' 🐎', '.'];

function chunksOf(text: string): readonly Chunk[] {
  return text
    .split('\n\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice('data: '.length)) as Chunk);
}

/** What every client may expect of a stream, however many replicas it took. */
function assertUnbroken(text: string): void {
  const chunks = chunksOf(text);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.map(({ delta }) => delta.content ?? '').join(''), words.join(''));
  assert.equal(choices.filter(({ delta }) => delta.role !== undefined).length, 1);
  assert.deepEqual(
    choices.map((choice) => choice.finish_reason).filter((reason) => reason !== null),
    ['stop'],
  );
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
  assert.ok(text.endsWith(event('[DONE]')));
}

async function twoReplicas(
  t: Parameters<typeof dataPlane>[0],
  breakOff: (response: ServerResponse) => void,
  after: number,
): Promise<DataPlaneUnderTest> {
  const failing = await scriptedEngine(
    t,
    speaker(words, breakOff, () => after, 'first'),
  );
  const working = await scriptedEngine(
    t,
    speaker(words, breakOff, () => Number.POSITIVE_INFINITY, 'second'),
  );
  return dataPlane(t, [failing, working], { engine: 'vllm', resumeStreams: true });
}

describe('a stream whose replica dies is gone on with', () => {
  const breaks: readonly [name: string, breakOff: (response: ServerResponse) => void][] = [
    ['the connection breaks', (response) => response.destroy()],
    ['the stream just ends', (response) => response.end()],
    ['an event says that the engine failed', (response) => response.end(event({ error: { message: 'CUDA error', code: 500 } }))],
    ['half an event is left', (response) => response.end('data: {"id":"fir')],
  ];
  for (const [name, breakOff] of breaks) {
    test(`${name}: the client sees one unbroken stream`, async (t) => {
      const gateway = await twoReplicas(t, breakOff, 4);
      for (let turn = 0; turn < 3; turn += 1) {
        const reply = await gateway.post(chat({ stream: true, stream_options: { include_usage: true } }));
        const text = await reply.text();
        assertUnbroken(text);
        assert.deepEqual(chunksOf(text).at(-1)?.usage, { prompt_tokens: 5, completion_tokens: 10, total_tokens: 15 });
      }
      await eventually(() => gateway.inFlight(0) + gateway.inFlight(1) === 0, 'the places are free again');
      assert.match(JSON.stringify(await gateway.metrics.snapshot()), /"roundhouse_resumed_streams_total"/);
    });
  }

  test('at every word', async (t) => {
    const places = fc.integer({ min: 0, max: words.length - 1 });
    let after = 0;
    const failing = await breaksAfter(t, () => after);
    const working = await scriptedEngine(
      t,
      speaker(
        words,
        () => undefined,
        () => Number.POSITIVE_INFINITY,
        'second',
      ),
    );
    const gateway = await dataPlane(t, [failing, working], { engine: 'vllm', resumeStreams: true });
    await fc.assert(
      fc.asyncProperty(places, async (place) => {
        after = place;
        assertUnbroken(await (await gateway.post(chat({ stream: true }))).text());
      }),
      { numRuns: 30 },
    );
  });

  test('the client’s limit holds over all replicas', async (t) => {
    const failing = await breaksAfter(t, () => 3);
    const gateway = await dataPlane(t, [failing], { engine: 'vllm', resumeStreams: true });
    const text = await (await gateway.post(chat({ stream: true, max_tokens: 5 }))).text();
    assert.equal(
      chunksOf(text)
        .flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''))
        .join(''),
      words.slice(0, 5).join(''),
    );
    assert.equal((JSON.parse(failing.bodies[1] ?? '') as { max_tokens: number }).max_tokens, 2);
  });

  test('not where tools, choices or forms are asked for, and not unless the model says so', async (t) => {
    const failing = await breaksAfter(t, () => 3);
    const off = await dataPlane(t, [failing], { engine: 'vllm' });
    assert.match(await (await off.post(chat({ stream: true }))).text(), /"code":"upstream_failed"/);
    assert.equal(failing.bodies.length, 1);
    const ineligible = [
      { n: 2 },
      { tools: [{ type: 'function' }] },
      { response_format: { type: 'json_object' } },
      { logprobs: true },
      { guided_regex: 'a+' },
      { stream: false },
      { messages: [{ role: 'assistant', content: 'I' }] },
    ];
    for (const more of ineligible) {
      const body = { ...chat({ stream: true }), ...more };
      assert.equal(resumable(requestOf('chat', JSON.stringify(body))), false, JSON.stringify(more));
    }
    assert.equal(
      resumable(requestOf('chat', JSON.stringify(chat({ stream: true, n: 1, tools: [], response_format: { type: 'text' } })))),
      true,
    );
  });

  test('an engine that only ever dies ends it with an error event', async (t) => {
    const failing = await breaksAfter(t, () => 1);
    const gateway = await dataPlane(t, [failing], { engine: 'vllm', resumeStreams: true });
    const text = await (await gateway.post(chat({ stream: true }))).text();
    assert.match(text, /"code":"upstream_failed"\}\}\n\n$/);
    assert.equal(failing.bodies.length, 3);
  });
});
