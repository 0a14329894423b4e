import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EngineError } from '../../../src/plugins/engine-plugin.ts';
import { vllm } from '../../../src/plugins/vllm/index.ts';
import { requestOf } from '../../support/request.ts';

const { dialect } = vllm;
const sent = (body: unknown): unknown =>
  JSON.parse(Buffer.from(dialect.toEngine(requestOf('chat', JSON.stringify(body)), 'attempt').body).toString());

/** Bodies that are right as they came, to the last byte. */
const untouched = [
  '{"model": "public/id",  "messages": []}',
  '{"model":"public/id","seed":9223372036854775807}',
  '{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}',
  '{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}}',
  '{"response_format":{"type":"json_object"}}',
  String.raw`{"prompt":"\u00e9 \"tools\" "}`,
];
for (const text of untouched) {
  test(`goes on as it came: ${text}`, () => {
    const request = requestOf('completions', text);
    const { path, body } = dialect.toEngine(request, 'attempt');
    assert.equal(path, '/v1/completions');
    assert.equal(body, request.raw);
  });
}

test('a chat that names no field of interest is not even parsed', () => {
  const request = requestOf('chat', '{"model":"public/id"}');
  const unparsed = { ...request, body: () => assert.fail('parsed') };
  assert.equal(dialect.toEngine(unparsed, 'attempt').path, '/v1/chat/completions');
});

test('an alias becomes the served name', () => {
  const request = { ...requestOf('chat', '{"model":"alias","n":1}'), requestedModel: 'alias' };
  assert.equal(Buffer.from(dialect.toEngine(request, 'attempt').body).toString(), '{"model":"public/id","n":1}');
});

const schema = { type: 'object', properties: { a: { type: 'integer' } } };
const named = { response_format: { type: 'json_schema', json_schema: { name: 'response', schema } } };
const mended: readonly (readonly [string, unknown, unknown])[] = [
  ['an empty list of tools', { tools: [], n: 1 }, { n: 1 }],
  ['no tools', { tools: null, tool_choice: 'none' }, {}],
  ['a choice without tools', { tool_choice: 'auto', n: 1 }, { n: 1 }],
  ['a schema without a name', { response_format: { type: 'json_schema', json_schema: { schema } } }, named],
  ['a schema in the place of its wrapper', { response_format: { type: 'json_schema', json_schema: schema } }, named],
  ['a schema beside the type', { response_format: { type: 'json_schema', schema } }, named],
  ['guided_json', { guided_json: schema }, { structured_outputs: { json: schema } }],
  ['guided_choice', { guided_choice: ['a', 'b'], guided_decoding_backend: 'x' }, { structured_outputs: { choice: ['a', 'b'] } }],
  ['old words beside new ones', { guided_regex: 'a', structured_outputs: { regex: 'b' } }, { structured_outputs: { regex: 'b' } }],
  ['fields that are not a client’s business', { kv_transfer_params: {}, request_id: 'x', vllm_xargs: {}, n: 1 }, { n: 1 }],
];
for (const [name, before, after] of mended) {
  test(`mended: ${name}`, () => assert.deepEqual(sent(before), after));
}

test('a key written with escapes is found too', () => {
  const { body } = dialect.toEngine(requestOf('chat', String.raw`{"request\u005fid":"x","n":1}`), 'attempt');
  assert.equal(Buffer.from(body).toString(), '{"n":1}');
});

const mistake = { type: 'invalid_request_error' } as const;

/** What clients see of replies of vLLM 0.26.0. */
const expected: Readonly<Record<string, EngineError>> = {
  'chat-bad-json': { ...mistake, message: 'JSON decode error' },
  'chat-bad-type': {
    ...mistake,
    message: 'temperature: Input should be a valid number, unable to parse string as a number',
    param: 'temperature',
  },
  'chat-no-messages': { ...mistake, message: 'messages: Field required', param: 'messages' },
  'chat-no-content-type': { ...mistake, message: "Unsupported Media Type: Only 'application/json' is allowed" },
  'chat-max-tokens-0': {
    ...mistake,
    message: 'max_tokens must be at least 1, got 0.',
    param: 'max_tokens',
  },
  'chat-unknown-model': { ...mistake, message: 'The model `nope` does not exist.', param: 'model' },
  'image-on-text-model': { ...mistake, message: 'tiny is not a multimodal model' },
  'top-logprobs-alone': { ...mistake, message: 'when using `top_logprobs`, `logprobs` must be set to true.', param: 'top_logprobs' },
  'key-models-bad': { message: "The engine refused the gateway's key: Unauthorized", type: 'server_error', status: 502 },
  'model-one': { ...mistake, message: 'Not Found' },
};

const file = new URL('../../fixtures/engines/vllm/errors.json', import.meta.url);
const replies = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, { readonly status: number; readonly body: unknown }>>;
const read = (name: string): EngineError => {
  const reply = replies[name] ?? assert.fail(`no reply ${name}`);
  return dialect.readError(reply.status, JSON.stringify(reply.body));
};
for (const [name, error] of Object.entries(expected)) test(`the error ${name}`, () => assert.deepEqual(read(name), error));

test('a prompt too long has the code that clients look for', () => {
  assert.equal(read('chat-too-long').code, 'context_length_exceeded');
  assert.equal(read('completion-too-long').code, 'context_length_exceeded');
});

test('of every real reply something short is left, in OpenAI’s types', () => {
  for (const name of Object.keys(replies)) {
    const { message, type } = read(name);
    assert.ok(message.length > 5 && !/validation error|'loc':|\(parameter=/u.test(message), message);
    assert.ok(type === 'invalid_request_error' || type === 'server_error');
  }
});

test('an engine that is being stopped, or has died, is no defect of the request', () => {
  const said = [
    'cannot schedule new futures after shutdown',
    'EngineCore encountered an issue. See stack trace (above) for the root cause.',
  ];
  for (const message of said) {
    const body = JSON.stringify({ error: { message, type: 'InternalServerError', param: null, code: 500 } });
    assert.deepEqual(dialect.readError(500, body), { message: 'The engine has stopped.', type: 'server_error', status: 503 });
  }
});
