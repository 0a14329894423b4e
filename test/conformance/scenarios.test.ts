import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { Api } from '../../src/conformance/api.ts';
import { plainPng } from '../../src/conformance/png.ts';
import { passed, runScenarios, type ScenarioResult, scenarios } from '../../src/conformance/run.ts';
import type { Subject } from '../../src/conformance/scenario.ts';
import { ManualClock } from '../support/manual-clock.ts';

type Answer = readonly [status: number, body: unknown];
/** What a server under test answers to a body. */
type Answers = (path: string, body: Record<string, unknown>) => Answer;

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function send(response: ServerResponse, [status, body]: Answer): void {
  response.statusCode = status;
  if (typeof body === 'string') response.setHeader('content-type', 'text/event-stream').end(body);
  else response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
}

/** Runs one scenario on a server that answers so. */
async function outcome(t: TestContext, name: string, answers: Answers, more: Partial<Subject> = {}): Promise<ScenarioResult> {
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => send(response, answers(request.url ?? '', body)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const api = new Api({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs: 5000 });
  t.after(async () => {
    await api.close();
    server.close();
  });
  const subject: Subject = { api, model: 'm', clock: new ManualClock(), ...more };
  const chosen = scenarios.filter((scenario) => scenario.name === name);
  assert.equal(chosen.length, 1, name);
  const [result] = await runScenarios(subject, chosen, new Set(), () => undefined);
  return result ?? assert.fail();
}

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const said = (content: unknown, finish = 'stop', more: object = {}): Answer => [
  200,
  {
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content, ...more }, finish_reason: finish }],
    usage,
  },
];
const saidBy = (model: unknown, content: string): Answer => [200, { ...(said(content)[1] as object), model }];
const refused = (status: number, code: unknown = null): Answer => [status, { error: { message: 'no', type: 't', param: null, code } }];
const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const role = chunk({ role: 'assistant', content: '' });
const done = 'data: [DONE]\n\n';
const call = (more: object = {}): object => ({
  tool_calls: [{ id: 'a', type: 'function', function: { name: 'set_light', arguments: '{"on":true}' }, ...more }],
});
const vectors = (...all: readonly (readonly number[])[]): Answer => [200, { data: all.map((embedding, index) => ({ index, embedding })) }];

/** Scenario, what is answered, what it must come to. */
const cases: readonly (readonly [string, string, Answers, ScenarioResult['kind'], RegExp])[] = [
  ['models', 'not listed, not shown', (path) => (path === '/v1/models' ? [200, { data: [] }] : refused(404)), 'fails', /404/],
  ['models', 'another one shown', () => [200, { id: 'other', data: [] }], 'fails', /other/],
  ['chat', 'the whole of it', () => said('Paris.'), 'works', /Paris/],
  ['chat', 'no text', () => said(''), 'fails', /content/],
  ['chat', 'another model', () => [200, { ...(said('x')[1] as object), model: 'base' }], 'fails', /wrong model/],
  [
    'chat',
    'usage that does not add up',
    () => [200, { ...(said('x')[1] as object), usage: { ...usage, total_tokens: 9 } }],
    'fails',
    /usage/,
  ],
  ['chat', 'refused', () => refused(400), 'fails', /400/],
  [
    'stream',
    'as it should be',
    (_, { stream }) => (stream === true ? [200, role + chunk({ content: 'x' }) + chunk({}, 'stop') + done] : said('x')),
    'works',
    /the text of the whole/,
  ],
  [
    'stream',
    'no [DONE]',
    (_, { stream }) => (stream === true ? [200, role + chunk({ content: 'x' }, 'stop')] : said('x')),
    'fails',
    /\[DONE\]/,
  ],
  [
    'stream',
    'two roles',
    (_, { stream }) => (stream === true ? [200, role + role + chunk({ content: 'x' }, 'stop') + done] : said('x')),
    'fails',
    /2 events with a role/,
  ],
  [
    'stream',
    'no finish_reason',
    (_, { stream }) => (stream === true ? [200, role + chunk({ content: 'x' }) + done] : said('x')),
    'fails',
    /0 events with a finish/,
  ],
  [
    'stream-usage',
    'usage in the last text chunk',
    () => [200, `data: ${JSON.stringify({ choices: [{ delta: { content: 'x' } }], usage })}\n\n${done}`],
    'fails',
    /choices/,
  ],
  ['stream-usage', 'no usage', () => [200, chunk({ content: 'x' }, 'stop') + done], 'fails', /0 chunks/],
  ['stream-usage', 'usage unasked', () => [200, `data: ${JSON.stringify({ choices: [], usage })}\n\n${done}`], 'fails', /did not ask/],
  ['completions', 'no text', () => [200, { model: 'm', choices: [{ text: '' }] }], 'fails', /no text/],
  [
    'max_completion_tokens',
    'ignored',
    () => [200, { ...(said('x', 'length')[1] as object), usage: { completion_tokens: 32 } }],
    'fails',
    /32 tokens/,
  ],
  ['max_completion_tokens', 'wrong reason', () => said('x', 'stop'), 'fails', /finish_reason/],
  ['stop', 'ignored', () => said('The end'), 'fails', /stop/],
  ['stop', 'wrong reason', (_, { stop }) => (stop === undefined ? said('The end') : said('Th', 'length')), 'fails', /length/],
  ['stop', 'obeyed', (_, { stop }) => (stop === undefined ? said('The end') : said('Th')), 'works', /Th/],
  ['n', 'one choice', () => said('x'), 'fails', /indexes/],
  ['n', 'refused cleanly', () => refused(400), 'unshown', /refused/],
  ['n', 'refused in another shape', () => [400, { detail: 'no' }], 'fails', /no error object/],
  ['n', 'refused with a number as code', () => refused(400, 400), 'fails', /error\.code/],
  ['n', 'a fault of the server', () => refused(500), 'fails', /500/],
  ['seed', 'always the same', () => said('x'), 'unshown', /another seed/],
  ['logprobs', 'none', () => said('x'), 'fails', /logprobs/],
  ['json_schema', 'obeyed', () => said('{"colour":"red","certain":true}'), 'works', /red/],
  ['json_schema', 'a key too many', () => said('{"colour":"red","certain":true,"x":1}'), 'fails', /schema/],
  ['json_schema-raw', 'ignored', () => said('Horses are animals.'), 'fails', /Horses/],
  ['json_object', 'cut', () => said('{"a": "b', 'length'), 'unshown', /120 tokens/],
  ['json_object', 'words', () => said('A horse'), 'fails', /no JSON/],
  ['guided_choice', 'obeyed', () => said(' emerald'), 'works', /emerald/],
  ['guided_choice', 'ignored', () => said('emerald green'), 'fails', /none of/],
  ['tools', 'answered in words', () => said('ok'), 'works', /in words/],
  [
    'tools',
    'broken arguments',
    () => said(null, 'tool_calls', call({ function: { name: 'set_light', arguments: '{' } })),
    'fails',
    /arguments/,
  ],
  [
    'tools',
    'the result is refused',
    (_, { messages }) => ((messages as readonly unknown[]).length > 1 ? refused(500) : said('ok')),
    'fails',
    /500/,
  ],
  ['tool_choice-required', 'obeyed', () => said(null, 'tool_calls', call()), 'works', /on/],
  ['tool_choice-required', 'ignored', () => said('ok'), 'fails', /no tool call/],
  ['tool_choice-named', 'a call without id', () => said(null, 'tool_calls', call({ id: '' })), 'fails', /id/],
  ['vision', 'blind', () => said('It is blue.'), 'fails', /blue/],
  ['vision', 'seen', () => said('The image is RED.'), 'works', /RED/],
  ['embeddings', 'no sense in them', () => vectors([1, 0], [0, 1], [1, 0]), 'fails', /alike 0/],
  ['embeddings', 'as they should be', () => vectors([1, 0], [1, 0.1], [0, 1]), 'works', /2 numbers/],
  ['embeddings', 'of unlike lengths', () => vectors([1, 0], [1], [0, 1]), 'fails', /vectors of 2, 1/],
  ['lora', 'none named', () => said('x'), 'unshown', /--adapter/],
  ['errors', 'a mistake is answered', () => said('x'), 'fails', /expected 4xx/],
  ['errors', 'a fault of the server', () => refused(500), 'fails', /500/],
  ['unknown-model', 'answered by the base', () => said('x'), 'fails', /expected 404/],
  ['unknown-model', 'another code', () => refused(404, 'nope'), 'fails', /nope/],
  ['abort', 'no admin socket', () => said('x'), 'unshown', /admin/],
];

describe('a scenario', () => {
  for (const [name, what, answers, kind, detail] of cases) {
    test(`${name}: ${what}: ${kind}`, async (t) => {
      const result = await outcome(t, name, answers);
      assert.equal(result.kind, kind, result.detail);
      assert.match(result.detail, detail);
    });
  }

  test('every one of them has a case', () => {
    assert.deepEqual(new Set(cases.map(([name]) => name)), new Set(scenarios.map(({ name }) => name)));
  });

  test('lora: the answer of the base, and one of its own', async (t) => {
    assert.equal((await outcome(t, 'lora', (_, { model }) => saidBy(model, `I am ${String(model)}`), { adapter: 'm:a' })).kind, 'works');
    assert.match((await outcome(t, 'lora', (_, { model }) => saidBy(model, 'x'), { adapter: 'm:a' })).detail, /the same answer/);
  });

  test('abort: what stays in flight is a failure, after five seconds', async (t) => {
    const clock = new ManualClock();
    const asked: number[] = [];
    const inFlight = async (): Promise<number> => {
      asked.push(clock.now());
      return asked.length === 1 ? 0 : 1;
    };
    const running = outcome(t, 'abort', () => [200, role + chunk({ content: 'x' })], { inFlight, clock });
    while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(6000);
    const result = await running;
    assert.equal(result.kind, 'fails');
    assert.match(result.detail, /5 s after/);
  });

  test('no whole reply is its failure, and the next one runs', async (t) => {
    const api = new Api({ url: 'http://127.0.0.1:1', timeoutMs: 2000 });
    t.after(() => api.close());
    const chosen = scenarios.filter(({ name }) => name === 'chat' || name === 'n');
    const results = await runScenarios({ api, model: 'm', clock: new ManualClock() }, chosen, new Set(), () => undefined);
    assert.deepEqual(
      results.map(({ name, kind }) => `${name} ${kind}`),
      ['chat fails', 'n fails'],
    );
    for (const { detail } of results) assert.match(detail, /no whole reply/);
  });
});

const result = (name: string, kind: ScenarioResult['kind'], required: boolean): ScenarioResult => ({
  name,
  title: '',
  required,
  kind,
  detail: '',
  ms: 0,
});

test('only what is required or asked for decides', () => {
  const none = new Set<string>();
  assert.equal(passed([result('a', 'works', true), result('b', 'fails', false), result('c', 'unshown', true)], none), true);
  assert.equal(passed([result('a', 'fails', true)], none), false);
  assert.equal(passed([result('b', 'unshown', true)], new Set(['b'])), false);
  assert.equal(passed([result('b', 'works', true)], new Set(['b'])), true);
});

test('the image is a PNG that readers take', () => {
  const png = plainPng(2, [1, 2, 3]);
  assert.equal(png.subarray(0, 8).toString('hex'), '89504e470d0a1a0a');
  assert.equal(png.readUInt32BE(16), 2);
  assert.equal(png.subarray(-12).toString('hex'), '0000000049454e44ae426082');
});
