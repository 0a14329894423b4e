import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultInputLimits, type InputPolicy } from '../../src/core/input-limits.ts';
import { modelName } from '../../src/core/ids.ts';
import { named } from '../../src/core/parameter.ts';
import type { Operation } from '../../src/core/request.ts';
import { emptyTable } from '../../src/core/table.ts';
import { checkInput } from '../../src/gateway/input/check.ts';
import { parameters } from '../../src/gateway/input/parameters.ts';
import { normalize, withoutMembers } from '../../src/gateway/openai/normalize.ts';
import { operationNames } from '../../src/gateway/operations.ts';
import { engines } from '../../src/plugins/registry.ts';
import { chat, dataPlane, scriptedEngine } from '../support/data-plane.ts';

const policy: InputPolicy = { limits: defaultInputLimits, allowed: [] };
const table = { ...emptyTable, apps: new Map([['', new Map([['m', modelName('m')]])]]) };

const bodies: Readonly<Partial<Record<Operation, object>>> = {
  chat: { messages: [] },
  completions: { prompt: 'x' },
  responses: { input: 'x' },
  messages: { messages: [] },
  embeddings: { input: 'x' },
};

function unknownOf(operation: Operation, more: object, over: Partial<InputPolicy> = {}): readonly string[] {
  const request = normalize(operation, Buffer.from(JSON.stringify({ ...bodies[operation], ...more })), table, '');
  return checkInput(request, new Map(named('own')), { ...policy, ...over });
}

const schema = (inner: object): object => ({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: inner } } });
const tool = (parametersOfIt: unknown): object => ({ tools: [{ type: 'function', function: { name: 'f', parameters: parametersOfIt } }] });
const nest = (depth: number): object => (depth === 0 ? {} : { properties: { a: nest(depth - 1) } });

describe('what a request may not ask for', () => {
  const cases: readonly (readonly [operation: Operation, more: object, code: string, param: string, message?: RegExp])[] = [
    ['chat', { n: 1e9 }, 'param_too_large', 'n', /is 1000000000; at most 16 \(gateway\.limits\.max_choices\)/u],
    ['chat', { best_of: 17 }, 'param_too_large', 'best_of'],
    ['chat', { max_tokens: 1e300 }, 'param_too_large', 'max_tokens'],
    ['chat', { max_completion_tokens: 1_000_001 }, 'param_too_large', 'max_completion_tokens'],
    ['responses', { max_output_tokens: 1_000_001 }, 'param_too_large', 'max_output_tokens'],
    ['messages', { max_tokens: 1_000_001 }, 'param_too_large', 'max_tokens'],
    ['chat', { top_logprobs: 21 }, 'param_too_large', 'top_logprobs'],
    ['completions', { logprobs: 21 }, 'param_too_large', 'logprobs'],
    ['completions', { prompt_logprobs: -1 }, 'request_invalid', 'prompt_logprobs', /is -1; expected a number from 0 to 20/u],
    ['chat', { stop: Array.from({ length: 65 }, () => 'x') }, 'param_too_large', 'stop'],
    ['messages', { stop_sequences: Array.from({ length: 65 }, () => 'x') }, 'param_too_large', 'stop_sequences'],
    ['embeddings', { input: Array.from({ length: 2049 }, () => 'x') }, 'param_too_large', 'input'],
    ['chat', { tools: Array.from({ length: 129 }, () => ({})) }, 'param_too_large', 'tools'],
    ['chat', { temperature: 'hot' }, 'request_invalid', 'temperature', /must be number or null, not string/u],
    ['chat', { chat_template: '{% for i in range(10**9) %}' }, 'param_refused', 'chat_template'],
    ['responses', { chat_template: 'x' }, 'param_refused', 'chat_template'],
    ['messages', { chat_template: 'x' }, 'param_refused', 'chat_template'],
    ['chat', { chat_template_kwargs: { chat_template: 'x' } }, 'param_refused', 'chat_template_kwargs.chat_template'],
    ['responses', { chat_template_kwargs: { tokenize: true } }, 'param_refused', 'chat_template_kwargs.tokenize'],
    ['tokenize', { prompt: 'x', chat_template: 'x' }, 'param_refused', 'chat_template'],
    ['chat', { custom_logit_processor: 'x' }, 'param_refused', 'custom_logit_processor'],
    ['chat', { lora_path: 'x' }, 'param_refused', 'lora_path'],
    ['completions', { prompt_embeds: 'x' }, 'param_refused', 'prompt_embeds'],
    ['chat', { mm_processor_kwargs: {} }, 'param_refused', 'mm_processor_kwargs'],
    ['chat', { chat_parser: 'x' }, 'param_refused', 'chat_parser'],
    ['messages', { mcp_servers: [] }, 'param_refused', 'mcp_servers'],
    ['chat', { ['__proto__']: {} }, 'param_refused', '__proto__'],
    ['chat', { constructor: {} }, 'param_refused', 'constructor'],
    ['responses', { tools: [{ type: 'mcp', server_url: 'http://x' }] }, 'param_refused', 'tools.0.server_url'],
    ['responses', { tools: [{ type: 'mcp', connector_id: 'x' }] }, 'param_refused', 'tools.0.connector_id'],
    ['chat', { tools: ['x'] }, 'request_invalid', 'tools.0'],
    ['chat', { tools: [{ type: 'function' }] }, 'request_invalid', 'tools.0.function'],
    ['chat', { tools: [{ type: 'function', function: {} }] }, 'request_invalid', 'tools.0.function.name'],
    ['chat', { tools: [{ type: 7 }] }, 'request_invalid', 'tools.0.type'],
    ['chat', tool([]), 'request_invalid', 'tools.0.function.parameters'],
    [
      'chat',
      tool({ properties: { a: { type: 'string', pattern: '(' } } }),
      'request_invalid',
      'tools.0.function.parameters.properties.a.pattern',
    ],
    ['chat', tool({ properties: { title: { pattern: '[' } } }), 'request_invalid', 'tools.0.function.parameters.properties.title.pattern'],
    ['chat', tool({ properties: { a: { type: [1] } } }), 'request_invalid', 'tools.0.function.parameters.properties.a.type'],
    ['messages', { tools: [{ name: 'f', input_schema: { pattern: '(' } }] }, 'request_invalid', 'tools.0.input_schema.pattern'],
    ['chat', schema({ pattern: 'a'.repeat(257) }), 'param_too_large', 'response_format.json_schema.schema.pattern'],
    ['chat', schema({ patternProperties: { '(': {} } }), 'request_invalid', 'response_format.json_schema.schema.patternProperties'],
    ['chat', schema(nest(25)), 'param_too_large', 'response_format.json_schema.schema', /max_schema_depth/u],
    ['chat', schema({ description: 'x'.repeat(70_000) }), 'param_too_large', 'response_format', /has 70\d\d\d bytes/u],
    ['chat', tool({ description: 'x'.repeat(70_000) }), 'param_too_large', 'tools.0'],
    ['chat', schema({ $ref: '#' }), 'request_invalid', 'response_format.json_schema.schema.$ref', /itself without an end/u],
    [
      'chat',
      schema({ $defs: { a: { $ref: '#/$defs/b' }, b: { anyOf: [{ $ref: '#/$defs/a' }] } }, properties: { x: { $ref: '#/$defs/a' } } }),
      'request_invalid',
      'response_format.json_schema.schema.$defs.a.$ref',
    ],
    [
      'chat',
      schema({ $ref: 'http://169.254.169.254/' }),
      'request_invalid',
      'response_format.json_schema.schema.$ref',
      /of the schema itself/u,
    ],
    ['chat', schema({ $ref: '#/$defs/none' }), 'request_invalid', 'response_format.json_schema.schema.$ref', /not there/u],
    ['responses', { text: { format: { type: 'json_schema', schema: { pattern: '(' } } } }, 'request_invalid', 'text.format.schema.pattern'],
    ['messages', { output_config: { format: { schema: { pattern: '(' } } } }, 'request_invalid', 'output_config.format.schema.pattern'],
  ];
  for (const [operation, more, code, param, message] of cases) {
    test(`${operation}: ${JSON.stringify(more).slice(0, 80)}`, () => {
      assert.throws(
        () => unknownOf(operation, more),
        (error: Error & { code?: string; param?: string }) => {
          assert.deepEqual([error.code, error.param], [code, param], error.message);
          if (message !== undefined) assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});

describe('what goes through', () => {
  const linked = { $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } } }, $ref: '#/$defs/node' };
  const cases: readonly (readonly [operation: Operation, more: object])[] = [
    ['chat', { n: 16, max_tokens: 1_000_000, logprobs: true, top_logprobs: 20, stop: Array.from({ length: 64 }, () => 'xxxx') }],
    ['completions', { max_tokens: -1 }],
    ['completions', { prompt: Array.from({ length: 9000 }, (_, token) => token) }],
    ['embeddings', { input: Array.from({ length: 2048 }, () => 'long enough to be parsed') }],
    ['chat', { n: null, stop: null, tools: null, response_format: null, chat_template: null }],
    [
      'chat',
      tool({ type: 'object', properties: { pattern: { type: 'string', pattern: String.raw`^(?P<y>\d{4})\Z` } }, required: ['pattern'] }),
    ],
    ['chat', tool({ properties: { constructor: { type: ['string', 'null'] }, $ref: { type: 'string' } }, const: { pattern: '(' } })],
    ['chat', schema(linked)],
    ['chat', { chat_template_kwargs: { enable_thinking: false } }],
    ['responses', { tools: [{ type: 'web_search' }, { type: 'function', name: 'f', parameters: {} }] }],
    ['chat', { own: 1 }],
  ];
  for (const [operation, more] of cases) {
    test(`${operation}: ${JSON.stringify(more).slice(0, 80)}`, () => assert.deepEqual(unknownOf(operation, more), []));
  }

  test('what the model allows, and no more than its limits', () => {
    assert.deepEqual(unknownOf('chat', { chat_template: 'x', odd: 1 }, { allowed: ['chat_template', 'odd'] }), []);
    const limits = { ...defaultInputLimits, maxOutputTokens: 5 };
    assert.throws(() => unknownOf('chat', { max_tokens: 6 }, { limits }), { code: 'param_too_large' });
    assert.deepEqual(unknownOf('chat', { n: 1, max_tokens: 5 }, { limits }), []);
  });

  test('what nobody knows is named, and left out without a change to the rest', () => {
    const raw = Buffer.from('{"odd": 1, "model":"m", "seed": 12345678901234567890, "messages": [ ], "odder":null}');
    const request = normalize('chat', raw, table, '');
    const unknown = checkInput(request, new Map(), policy);
    assert.deepEqual(unknown, ['odd', 'odder']);
    const left = withoutMembers(request, unknown);
    assert.equal(Buffer.from(left.raw).toString(), '{"model":"m","seed": 12345678901234567890,"messages": [ ]}');
    assert.deepEqual([left.unknown, left.value('messages'), [...left.members.keys()]], [['odd'], [], ['model', 'seed', 'messages']]);
    assert.deepEqual(checkInput(request, undefined, policy), [], 'an engine from outside that does not say gets all');
  });
});

test('every operation has a table, with what it requires in it, and every engine says what it knows', () => {
  for (const operation of operationNames) assert.ok(parameters[operation].size > 10, operation);
  for (const [name, { dialect }] of engines) assert.ok((dialect.parameters?.size ?? 0) > 0, name);
});

describe('at the gateway', () => {
  for (const [policyOfModel, header, status] of [
    ['warn', 'odd', 200],
    ['drop', null, 200],
    ['reject', null, 400],
  ] as const) {
    test(`an unknown parameter, unsupported_params: ${policyOfModel}`, async (t) => {
      const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
      const gateway = await dataPlane(t, [engine], { unsupportedParams: policyOfModel });
      const response = await gateway.post(chat({ odd: 1, lost: null }));
      assert.deepEqual([response.status, response.headers.get('x-gateway-dropped-params')], [status, header]);
      assert.deepEqual(engine.bodies, status === 200 ? [JSON.stringify(chat())] : []);
      if (status === 400) assert.match(await response.text(), /"param":"odd","code":"param_unsupported"/u);
    });
  }

  test('a part of a form that clients may not use', async (t) => {
    const gateway = await dataPlane(t, []);
    const form = new FormData();
    form.set('model', 'test/model:1');
    form.set('file', new Blob(['x']), 'a.wav');
    form.set('chat_template', 'x');
    const response = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
    assert.equal(response.status, 400);
    assert.match(await response.text(), /param_refused/u);
  });
});
