import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../src/core/request.ts';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import { requestOf } from '../../support/request.ts';

const { dialect } = llamacpp;
const untold = { tools: false };
const light = { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] };
const inChat = (name: string, parameters: object = light): object => ({ type: 'function', function: { name, parameters } });
const inResponses = (name: string): object => ({ type: 'function', name, parameters: light });
const inMessages = (name: string): object => ({ name, input_schema: light });
const messages = [{ role: 'user', content: 'Switch the light on.' }];

function sentFor(operation: Operation, body: object, can?: { readonly tools?: boolean }): Record<string, unknown> {
  const request = requestOf(operation, JSON.stringify({ model: 'public/id', ...body }));
  return JSON.parse(Buffer.from(dialect.toEngine(request, 'attempt', undefined, can).body).toString()) as Record<string, unknown>;
}

const narrowed: readonly (readonly [string, Operation, (name: string) => object, unknown, readonly string[], unknown])[] = [
  ['a name in chat', 'chat', inChat, { type: 'function', function: { name: 'b' } }, ['b'], 'required'],
  ['a name in responses', 'responses', inResponses, { type: 'function', name: 'b' }, ['b'], 'required'],
  [
    'a name in messages',
    'messages',
    inMessages,
    { type: 'tool', name: 'b', disable_parallel_tool_use: true },
    ['b'],
    { type: 'any', disable_parallel_tool_use: true },
  ],
  [
    'some of them in chat',
    'chat',
    inChat,
    {
      type: 'allowed_tools',
      allowed_tools: {
        mode: 'auto',
        tools: [
          { type: 'function', function: { name: 'c' } },
          { type: 'function', function: { name: 'a' } },
        ],
      },
    },
    ['a', 'c'],
    'auto',
  ],
  [
    'some of them in responses',
    'responses',
    inResponses,
    { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'a' }] },
    ['a'],
    'required',
  ],
];
for (const [name, operation, tool, choice, left, sent] of narrowed) {
  test(`only the tools that may be called are offered: ${name}`, () => {
    const { tools, tool_choice: chosen } = sentFor(operation, { tools: ['a', 'b', 'c'].map((one) => tool(one)), tool_choice: choice });
    assert.deepEqual([tools, chosen], [left.map((one) => tool(one)), sent]);
  });
}

const untouched: readonly (readonly [string, Operation, object, object?])[] = [
  ['any of them, of an engine that shows them', 'chat', { tools: [inChat('a')], tool_choice: 'required' }, { tools: true }],
  ['auto', 'chat', { tools: [inChat('a')], tool_choice: 'auto' }, untold],
  ['none', 'chat', { tools: [inChat('a')], tool_choice: 'none' }, untold],
  ['a word that nobody knows', 'chat', { tools: [inChat('a')], tool_choice: 'perhaps' }, untold],
  ['no tools', 'chat', { tools: [], tool_choice: 'required' }, untold],
  ['any in messages', 'messages', { tools: [inMessages('a')], tool_choice: { type: 'any' } }],
];
for (const [name, operation, body, can] of untouched) {
  test(`goes on as it came: ${name}`, () => assert.deepEqual(sentFor(operation, body, can), { model: 'public/id', ...body }));
}

test('a function that is not offered is refused, and the message names those that are', () => {
  for (const [operation, tools, choice] of [
    ['chat', [inChat('a')], { type: 'function', function: { name: 'x' } }],
    ['messages', [inMessages('a')], { type: 'tool', name: 'x' }],
  ] as const) {
    assert.throws(() => sentFor(operation, { tools, tool_choice: choice }), {
      code: 'request_invalid',
      message: "'tool_choice' names the function 'x', which 'tools' do not have; expected one of 'a'",
    });
  }
});

test('where the template shows no tools, the call is asked for as JSON by a schema', () => {
  const door = {
    type: 'object',
    properties: { door: { $ref: '#/$defs/door' }, like: { $ref: '#' } },
    $defs: { door: { type: 'integer' } },
  };
  const tools = [inChat('set_light'), inChat('open_door', door), { type: 'function', function: { name: 'wait', parameters: {} } }];
  const { response_format: format, ...sent } = sentFor(
    'chat',
    { messages, tools, tool_choice: 'required', parallel_tool_calls: true, grammar: 'root ::= "x"', n: 2 },
    untold,
  );
  assert.deepEqual(Object.keys(sent).toSorted(), ['messages', 'model', 'n']);
  const { schema } = (format as { json_schema: { schema: { $defs: object; anyOf: readonly { properties: object }[] } } }).json_schema;
  assert.deepEqual(schema.$defs, {
    f0: light,
    f1: {
      type: 'object',
      properties: { door: { $ref: '#/$defs/f1/$defs/door' }, like: { $ref: '#/$defs/f1' } },
      $defs: { door: { type: 'integer' } },
    },
    f2: { type: 'object' },
  });
  assert.deepEqual(
    schema.anyOf.map(({ properties }) => properties),
    ['set_light', 'open_door', 'wait'].map((name, at) => ({ name: { const: name }, arguments: { $ref: `#/$defs/f${at}` } })),
  );
  const [system, ...others] = sent['messages'] as { role: string; content: string }[];
  assert.deepEqual(others, messages);
  assert.match(
    system?.content ?? '',
    /^Answer by calling one of these functions:\n\{"name":"set_light",.*\n.*\n\{"name":"wait","parameters":\{\}\}$/u,
  );
});

test('so in the Responses API, told in the instructions', () => {
  const body = {
    input: 'Hi',
    tools: [inResponses('a'), { type: 'web_search' }],
    tool_choice: 'required',
    text: { format: { type: 'json_object' } },
  };
  const { json_schema: schema, instructions, ...sent } = sentFor('responses', { ...body, instructions: 'Be brief.' }, untold);
  assert.deepEqual(sent, { model: 'public/id', input: 'Hi', text: body.text });
  assert.deepEqual((schema as { anyOf: readonly { properties: object }[] }).anyOf[0]?.properties, {
    name: { const: 'a' },
    arguments: { $ref: '#/$defs/f0' },
  });
  const told = `Answer by calling one of these functions:\n${JSON.stringify({ name: 'a', parameters: light })}`;
  assert.equal(instructions, `Be brief.\n\n${told}`);
  const { instructions: listed } = sentFor('responses', { ...body, instructions: [{ role: 'system', content: 'Be brief.' }] }, untold);
  assert.deepEqual(listed, [
    { role: 'system', content: 'Be brief.' },
    { role: 'system', content: told },
  ]);
});

test('the model is told in the system’s own message, where there is one', () => {
  const told = (content: unknown): unknown => {
    const system = { role: 'system', content };
    const body = { messages: [system, ...messages], tools: [inChat('a')], tool_choice: { type: 'function', function: { name: 'a' } } };
    return (sentFor('chat', body, untold)['messages'] as readonly { content: unknown }[]).map((message) => message.content);
  };
  const instruction = `Answer by calling one of these functions:\n${JSON.stringify({ name: 'a', parameters: light })}`;
  assert.deepEqual(told('Be brief.'), [`Be brief.\n\n${instruction}`, messages[0]?.content]);
  const part = { type: 'text', text: 'Be brief.' };
  assert.deepEqual(told([part]), [[part, { type: 'text', text: instruction }], messages[0]?.content]);
});
