import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { modelName } from '../../../src/core/ids.ts';
import type { EngineError } from '../../../src/plugins/engine-plugin.ts';
import { sglang } from '../../../src/plugins/sglang/index.ts';
import { requestOf } from '../../support/request.ts';

const { dialect } = sglang;
const rid = 'chatcmpl-attempt';
const sent = (body: unknown): unknown =>
  JSON.parse(Buffer.from(dialect.toEngine(requestOf('chat', JSON.stringify(body)), 'attempt').body).toString());

const image = (url: unknown): unknown => ({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: url }] }] });

test('what needs no change goes on as it came, but for the name by which it can be aborted', () => {
  for (const body of [{ tools: [], tool_choice: 'auto' }, image({ url: 'data:image/png;base64,AA' }), { messages: 1, x: '_url"' }]) {
    const { path, body: bytes } = dialect.toEngine(requestOf('chat', JSON.stringify(body)), 'attempt');
    assert.equal(path, '/v1/chat/completions');
    assert.equal(Buffer.from(bytes).toString(), `${JSON.stringify(body).slice(0, -1)},"rid":"${rid}"}`);
  }
});

test('a generation is aborted by that name, which no client can choose', () => {
  const { path, body } = dialect.abort?.(requestOf('chat', '{}'), 'attempt') ?? assert.fail('no abort');
  assert.deepEqual([path, JSON.parse(Buffer.from(body).toString())], ['/abort_request', { rid }]);
  const { dropped, body: sent } = dialect.toEngine(requestOf('chat', '{"rid":"of-another-client"}'), 'attempt');
  assert.deepEqual([dropped, JSON.parse(Buffer.from(sent).toString())], [[], { rid }]);
});

test('the model is always the served name: any other would be answered by the base, or read as an adapter', () => {
  const request = { ...requestOf('chat', '{"model":"m:8b"}'), model: modelName('m:8b'), requestedModel: 'm:8b' };
  assert.equal(Buffer.from(dialect.toEngine(request, 'attempt').body).toString(), `{"model":"m%3A8b","rid":"${rid}"}`);
  const alias = { ...requestOf('chat', '{"model":"alias"}'), requestedModel: 'alias' };
  assert.equal(Buffer.from(dialect.toEngine(alias, 'attempt').body).toString(), `{"model":"public/id","rid":"${rid}"}`);
});

const schema = { type: 'object' };
const named = { response_format: { type: 'json_schema', json_schema: { name: 'response', schema } } };
const mended: readonly (readonly [string, unknown, unknown])[] = [
  ['a schema in the place of its wrapper', { response_format: { type: 'json_schema', json_schema: schema } }, named],
  ['guided_json', { guided_json: schema }, named],
  ['two constraints beside an own one: it takes only one', { guided_regex: 'a', guided_grammar: 'b', ebnf: 'c' }, { ebnf: 'c' }],
  ['guided_choice', { guided_choice: ['a.b', 'c'] }, { regex: String.raw`(a\.b|c)` }],
  [
    'structured_outputs',
    { structured_outputs: { json_object: true } },
    { response_format: { type: 'json_schema', json_schema: { name: 'response', schema } } },
  ],
  [
    'reasoning in earlier turns',
    { messages: [{ role: 'assistant', reasoning: 'r', content: 'c' }] },
    { messages: [{ role: 'assistant', reasoning_content: 'r', content: 'c' }] },
  ],
  ['an image that is only a text', image('data:image/png;base64,AA'), image({ url: 'data:image/png;base64,AA' })],
  ['an adapter that the client names', { lora_path: 'a', n: 1 }, { n: 1 }],
  ['ids, other engines and code', { rid: 'x', bootstrap_host: 'h', routed_dp_rank: 1, custom_logit_processor: 'p', n: 1 }, { n: 1 }],
];
for (const [name, before, after] of mended) {
  test(`mended: ${name}`, () => assert.deepEqual(sent(before), { ...(after as object), rid }));
}

test('a schema goes into completions as text', () => {
  const { body } = dialect.toEngine(requestOf('completions', JSON.stringify({ guided_json: schema })), 'attempt');
  assert.deepEqual(JSON.parse(Buffer.from(body).toString()), { json_schema: '{"type":"object"}', rid: 'cmpl-attempt' });
});

const mistake = { type: 'invalid_request_error' } as const;

/** What clients see of replies of SGLang 0.5.17. */
const expected: Readonly<Record<string, EngineError>> = {
  'chat-bad-json': { ...mistake, message: 'JSON decode error' },
  'chat-no-messages': { ...mistake, message: 'messages: Field required', param: 'messages' },
  'chat-empty-messages': { ...mistake, message: 'Messages cannot be empty.' },
  'chat-too-long': {
    ...mistake,
    message: "The input (160012 tokens) is longer than the model's context length (65536 tokens).",
    code: 'context_length_exceeded',
  },
  'model-one-unknown': { ...mistake, message: "The model 'nope' does not exist", code: 'model_not_found', param: 'model' },
  'queue-full': { type: 'server_error', message: 'The request queue is full.' },
  'tools-bad': { ...mistake, message: 'tools: Input should be a valid list', param: 'tools' },
};
const file = new URL('../../fixtures/engines/sglang/errors.json', import.meta.url);
const replies = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, { readonly status: number; readonly body: unknown }>>;
const read = (name: string): EngineError => {
  const reply = replies[name] ?? assert.fail(`no reply ${name}`);
  return dialect.readError(reply.status, JSON.stringify(reply.body));
};
for (const [name, error] of Object.entries(expected)) test(`the error ${name}`, () => assert.deepEqual(read(name), error));

test('of every real reply something short is left, without places in the engine’s source', () => {
  for (const name of Object.keys(replies)) {
    const { message } = read(name);
    assert.ok(message.length > 5 && !/validation error|'loc':|File "/u.test(message), message);
  }
});
