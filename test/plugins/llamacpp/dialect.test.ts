import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../src/core/request.ts';
import type { EngineError } from '../../../src/plugins/engine-plugin.ts';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import { requestOf } from '../../support/request.ts';

const { dialect } = llamacpp;

test('requests go on as they came', () => {
  const request = requestOf('completions', '{"model": "x",  "prompt": "y", "seed": 9223372036854775807}');
  const sent = dialect.toEngine(request, 'attempt');
  assert.deepEqual(sent, { path: '/v1/completions', body: request.raw, dropped: [], lastOnConnection: false });
  assert.equal(dialect.toEngine(requestOf('chat', '{"stream":true}'), 'attempt').lastOnConnection, true);
});

const schema = { type: 'object' };
const mended: readonly (readonly [string, Operation, unknown, unknown, readonly string[]])[] = [
  ['guided_json', 'completions', { guided_json: schema }, { json_schema: schema }, []],
  ['a choice', 'chat', { guided_choice: ['a"b', 'c\f'] }, { grammar: String.raw`root ::= "a\"b" | "c\x0C"` }, []],
  ['a regular expression', 'chat', { structured_outputs: { regex: 'a+' }, n: 1 }, { n: 1 }, ['structured_outputs.regex']],
  [
    'a schema in the place of its wrapper',
    'chat',
    { response_format: { type: 'json_schema', json_schema: schema } },
    { response_format: { type: 'json_schema', json_schema: { name: 'response', schema } } },
    [],
  ],
  ['echo and suffix', 'completions', { echo: true, suffix: 'x', prompt: 'p' }, { prompt: 'p' }, ['echo', 'suffix']],
  ['echo that is off', 'completions', { echo: false, best_of: 1, suffix: null }, {}, []],
  ['the newer name of a limit', 'completions', { max_completion_tokens: 5 }, { max_tokens: 5 }, []],
  ['a penalty by its other name', 'chat', { repetition_penalty: 1.1 }, { repeat_penalty: 1.1, repeat_last_n: -1 }, []],
  [
    'a format of the Responses API',
    'responses',
    { model: 'public/id', text: { format: { type: 'json_schema', name: 'n', schema, strict: true } } },
    { model: 'public/id', text: { format: { type: 'json_schema', name: 'n', schema, strict: true } }, json_schema: schema },
    [],
  ],
  [
    'any object as a response',
    'responses',
    { model: 'public/id', text: { format: { type: 'json_object' } } },
    { model: 'public/id', text: { format: { type: 'json_object' } }, json_schema: schema },
    [],
  ],
  [
    'plain text as a response',
    'responses',
    { model: 'public/id', text: { verbosity: 'low' } },
    { model: 'public/id', text: { verbosity: 'low' } },
    [],
  ],
  ['shorter vectors', 'embeddings', { model: 'public/id', input: 'a', dimensions: 3 }, { model: 'public/id', input: 'a' }, ['dimensions']],
  ['what is not a client’s business is left out silently', 'chat', { lora: [{ id: 0 }], id_slot: 1 }, {}, []],
];
for (const [name, operation, before, after, dropped] of mended) {
  test(`mended: ${name}`, () => {
    const sent = dialect.toEngine(requestOf(operation, JSON.stringify(before)), 'attempt');
    assert.deepEqual(JSON.parse(Buffer.from(sent.body).toString()), after);
    assert.deepEqual(
      sent.dropped?.map((param) => param.name),
      dropped,
    );
  });
}

test('an adapter is named by its place, whatever the client says', () => {
  const sent = dialect.toEngine(requestOf('completions', '{"lora":[{"id":0,"scale":9}],"prompt":"p"}'), 'attempt', '1');
  assert.deepEqual(JSON.parse(Buffer.from(sent.body).toString()), { prompt: 'p', lora: [{ id: 1, scale: 1 }] });
});

const mistake = { type: 'invalid_request_error' } as const;

/** Bodies as llama-server 0.7.0 (build 11669) sent them. */
const replies: readonly (readonly [number, string, EngineError])[] = [
  [
    500,
    `{"error":{"code":500,"message":"Failed to parse messages: Missing 'role' in message: {}","type":"server_error"}}`,
    { ...mistake, message: "Failed to parse messages: Missing 'role' in message: {}", param: 'messages', status: 400 },
  ],
  [
    500,
    `{"error":{"code":500,"message":"Failed to parse tools: Missing tool type: {}","type":"server_error"}}`,
    { ...mistake, message: 'Failed to parse tools: Missing tool type: {}', param: 'tools', status: 400 },
  ],
  [
    500,
    `{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}`,
    {
      ...mistake,
      message: 'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
      status: 400,
    },
  ],
  [
    500,
    `{"error":{"code":500,"message":"Cannot use both json_schema and grammar","type":"server_error"}}`,
    { ...mistake, message: 'Cannot use both json_schema and grammar', status: 400 },
  ],
  [
    400,
    `{"error":{"code":400,"message":"Field 'temperature': [json.exception.type_error.302] type must be number, but is string","type":"invalid_request_error"}}`,
    {
      ...mistake,
      message: "Field 'temperature': [json.exception.type_error.302] type must be number, but is string",
      param: 'temperature',
    },
  ],
  [
    400,
    `{"error":{"code":400,"message":"'messages' is required","type":"invalid_request_error"}}`,
    { ...mistake, message: "'messages' is required", param: 'messages' },
  ],
  [
    400,
    `{"error":{"code":400,"message":"Expected 'messages' to be an array","type":"invalid_request_error"}}`,
    { ...mistake, message: "Expected 'messages' to be an array", param: 'messages' },
  ],
  [
    400,
    `{"error":{"code":400,"message":"[json.exception.out_of_range.403] key 'prompt' not found","type":"invalid_request_error"}}`,
    { ...mistake, message: "[json.exception.out_of_range.403] key 'prompt' not found", param: 'prompt' },
  ],
  [
    400,
    `{"error":{"code":400,"message":"request (2031 tokens) exceeds the available context size (256 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":2031,"n_ctx":256}}`,
    {
      ...mistake,
      message: 'request (2031 tokens) exceeds the available context size (256 tokens), try increasing it',
      code: 'context_length_exceeded',
    },
  ],
  [
    401,
    `{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}`,
    { message: "The engine refused the gateway's key: Invalid API Key", type: 'server_error', status: 502 },
  ],
  [404, `{"error":{"message":"File Not Found","type":"not_found_error","code":404}}`, { ...mistake, message: 'File Not Found' }],
  [
    501,
    `{"error":{"code":501,"message":"This server does not support embeddings. Start it with \`--embeddings\`","type":"not_supported_error"}}`,
    { type: 'server_error', message: 'This server does not support embeddings. Start it with `--embeddings`' },
  ],
  [503, `{"error":{"message":"Loading model","type":"unavailable_error","code":503}}`, { type: 'server_error', message: 'Loading model' }],
  [500, '{"error":{"code":500,"message":"Compute error.","type":"server_error"}}', { type: 'server_error', message: 'Compute error.' }],
  [500, '', { type: 'server_error', message: 'The engine answered 500 without a reason.' }],
  [502, '<h1>oops</h1>', { type: 'server_error', message: 'The engine answered 502: oops' }],
];
for (const [status, body, expected] of replies) {
  test(`${status} ${body.slice(0, 90)}`, () => assert.deepEqual(dialect.readError(status, body), expected));
}
