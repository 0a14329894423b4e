import { at, list, parse, short } from '../../../src/conformance/json.ts';
import { ask, type Check, expect, firstWrong, isCount, isText, type Reply, type Target } from './check.ts';

const question = [{ role: 'user', content: 'What is the capital of France? Answer in one sentence.' }];
const answer = {
  type: 'object',
  properties: { colour: { type: 'string', enum: ['red', 'green'] }, certain: { type: 'boolean' } },
  required: ['colour', 'certain'],
  additionalProperties: false,
};
export const tool = {
  type: 'function',
  function: { name: 'set_light', parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] } },
};

/** What has the Responses API make a call. */
export const functionCall = {
  input: 'Switch the light on.',
  tools: [{ type: 'function', ...tool.function }],
  tool_choice: { type: 'function', name: 'set_light' },
  // Else a model may write calls until the limit.
  parallel_tool_calls: false,
  temperature: 0,
  max_output_tokens: 120,
};

type Judge = (reply: Reply, target: Target) => string | undefined;

/** Asks once, and has a 200 judged. */
const check = (name: string, path: string, body: object, judge: Judge): Check => ({
  name,
  run: async (target) => {
    const reply = await ask(target, { path, body: { model: target.model, ...body } });
    return reply.status === 200 ? judge(reply, target) : `${reply.status}: ${short(reply.text)}; expected 200`;
  },
});
const chat = (name: string, more: object, judge: Judge = () => undefined): Check =>
  check(`chat: ${name}`, '/v1/chat/completions', { messages: question, temperature: 0, max_tokens: 24, ...more }, judge);
const completion = (name: string, more: object, judge: Judge): Check =>
  check(`completions: ${name}`, '/v1/completions', { prompt: 'Once upon a time', temperature: 0, max_tokens: 4, ...more }, judge);
const response = (name: string, more: object, judge: Judge): Check =>
  check(`responses: ${name}`, '/v1/responses', { input: 'Hi', temperature: 0, max_output_tokens: 60, ...more }, judge);

const contentOf = (reply: Reply): unknown => at(reply.json, 'choices', 0, 'message', 'content');
const member =
  (path: readonly (string | number)[], right: (value: unknown, target: Target) => boolean): Judge =>
  (reply, target) =>
    firstWrong(reply.json, [[path, (value) => right(value, target)]]);

function obeys(text: unknown): boolean {
  const value = parse(text);
  const keys = typeof value === 'object' && value !== null ? Object.keys(value).sort().join() : '';
  return keys === 'certain,colour' && ['red', 'green'].includes(String(at(value, 'colour'))) && typeof at(value, 'certain') === 'boolean';
}

const sums: Judge = ({ json }) => {
  const [prompt, made, total] = ['prompt_tokens', 'completion_tokens', 'total_tokens'].map((name) => at(json, 'usage', name));
  return expect(isCount(prompt) && isCount(made) && total === Number(prompt) + Number(made), 'usage', at(json, 'usage'), 'a sum');
};
const outputText = (reply: Reply): string =>
  list(at(reply.json, 'output'))
    .flatMap((item) => list(at(item, 'content')))
    .map((part) => at(part, 'text'))
    .join('');

/** Parameters that other servers take, or have no use for: a client that sends them is not refused. */
const harmless: Readonly<Record<string, unknown>> = {
  user: 'someone',
  metadata: { a: 'b' },
  store: false,
  service_tier: 'auto',
  seed: 7,
  logit_bias: {},
  presence_penalty: 0,
  frequency_penalty: 0,
  parallel_tool_calls: true,
  stop: ['\n\n\n'],
  'stream: false': undefined,
  n: 1,
  top_p: 1,
  tools: [],
  tool_choice: 'none',
  response_format: { type: 'text' },
  logprobs: false,
};

const cards: readonly Check[] = [
  {
    name: 'models: the list has the model, with OpenAI’s four members',
    run: async (target) => {
      const { json } = await ask(target, { path: '/v1/models' });
      const card = list(at(json, 'data')).find((one) => at(one, 'id') === target.model);
      return firstWrong({ list: json, card }, [
        [['list', 'object'], (value) => value === 'list'],
        [['card', 'object'], (value) => value === 'model'],
        [['card', 'created'], isCount],
        [['card', 'owned_by'], isText],
      ]);
    },
  },
  {
    name: 'models: one is shown by its id',
    run: async (target) => {
      const reply = await ask(target, { path: `/v1/models/${target.model}` });
      return expect(
        reply.status === 200 && at(reply.json, 'id') === target.model,
        'the reply',
        `${reply.status} ${reply.text}`,
        'its card',
      );
    },
  },
  {
    name: 'a reply has an x-request-id',
    run: async (target) => {
      const { headers } = await ask(target, { path: '/v1/models' });
      return expect(isText(headers.get('x-request-id')), 'x-request-id', headers.get('x-request-id'), 'a text');
    },
  },
];

const whole: readonly Check[] = [
  chat(
    'object',
    {},
    member(['object'], (value) => value === 'chat.completion'),
  ),
  chat(
    'id',
    {},
    member(['id'], (value) => /^chatcmpl-./.test(String(value))),
  ),
  chat(
    'created, in seconds',
    {},
    member(['created'], (value) => isCount(value) && Number(value) > 1e9 && Number(value) < 1e10),
  ),
  chat(
    'the model as it was asked for',
    {},
    member(['model'], (value, { model }) => value === model),
  ),
  chat(
    'role',
    {},
    member(['choices', 0, 'message', 'role'], (value) => value === 'assistant'),
  ),
  chat('content', {}, member(['choices', 0, 'message', 'content'], isText)),
  chat(
    'index',
    {},
    member(['choices', 0, 'index'], (value) => value === 0),
  ),
  chat(
    'finish_reason stop',
    {},
    member(['choices', 0, 'finish_reason'], (value) => value === 'stop'),
  ),
  chat(
    'finish_reason length',
    { max_tokens: 2 },
    member(['choices', 0, 'finish_reason'], (value) => value === 'length'),
  ),
  chat('usage adds up', {}, sums),
  chat(
    'max_completion_tokens',
    { max_tokens: undefined, max_completion_tokens: 2 },
    member(['usage', 'completion_tokens'], (value) => value === 2),
  ),
  chat('stop ends before the sequence', { stop: ['Paris'] }, (reply) =>
    expect(!String(contentOf(reply)).includes('Paris'), 'content', contentOf(reply), 'no Paris'),
  ),
  chat('n: 2 gives two choices', { n: 2, temperature: 1, max_tokens: 2 }, ({ json }) =>
    expect(list(at(json, 'choices')).length === 2, 'choices', at(json, 'choices'), 'two'),
  ),
  chat('logprobs with top_logprobs', { logprobs: true, top_logprobs: 2, max_tokens: 2 }, ({ json }) => {
    const tokens = list(at(json, 'choices', 0, 'logprobs', 'content'));
    const right =
      tokens.length === 2 && tokens.every((token) => list(at(token, 'top_logprobs')).length === 2 && Number(at(token, 'logprob')) <= 0);
    return expect(right, 'logprobs', at(json, 'choices', 0, 'logprobs'), 'two tokens with two each');
  }),
  chat(
    'response_format json_schema',
    { max_tokens: 60, response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: answer } } },
    (reply) => expect(obeys(contentOf(reply)), 'content', contentOf(reply), 'what the schema asks for'),
  ),
  chat(
    'response_format json_schema, the schema itself',
    { max_tokens: 60, response_format: { type: 'json_schema', json_schema: answer } },
    (reply) => expect(obeys(contentOf(reply)), 'content', contentOf(reply), 'what the schema asks for'),
  ),
  chat(
    'content in parts',
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] },
    member(['choices', 0, 'message', 'content'], isText),
  ),
  chat(
    'a role of developer',
    { messages: [{ role: 'developer', content: 'Be brief.' }, ...question] },
    member(['choices', 0, 'message', 'content'], isText),
  ),
  chat('the result of a tool', {
    messages: [
      ...question,
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'set_light', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'done' },
    ],
    tools: [tool],
  }),
  chat(
    'tool_choice required makes a call',
    { tools: [tool], tool_choice: 'required', max_tokens: 60 },
    member(['choices', 0, 'message', 'tool_calls', 0, 'function', 'name'], isText),
  ),
  chat(
    'tool_choice by name makes that call',
    { tools: [tool], tool_choice: { type: 'function', function: { name: 'set_light' } }, max_tokens: 60 },
    member(['choices', 0, 'message', 'tool_calls', 0, 'function', 'name'], (value) => value === 'set_light'),
  ),
  chat(
    'a call that was asked for has its arguments whole',
    { tools: [tool], tool_choice: 'required', max_tokens: 120, temperature: 0 },
    member(['choices', 0, 'message', 'tool_calls', 0, 'function', 'arguments'], (value) => typeof at(parse(value), 'on') === 'boolean'),
  ),
  chat(
    'a call is how it ended',
    { tools: [tool], tool_choice: 'required', max_tokens: 120, temperature: 0 },
    member(['choices', 0, 'finish_reason'], (value) => value === 'tool_calls'),
  ),
  ...Object.entries(harmless).map(([name, value]) => chat(`${name} is no mistake`, { [name]: value, max_tokens: 1 })),
  completion(
    'object',
    {},
    member(['object'], (value) => value === 'text_completion'),
  ),
  completion(
    'id',
    {},
    member(['id'], (value) => /^cmpl-./.test(String(value))),
  ),
  completion('text', {}, member(['choices', 0, 'text'], isText)),
  completion(
    'the model as it was asked for',
    {},
    member(['model'], (value, { model }) => value === model),
  ),
  completion(
    'finish_reason',
    {},
    member(['choices', 0, 'finish_reason'], (value) => value === 'length'),
  ),
  completion('usage adds up', {}, sums),
  completion('echo, or a word that it was left out', { echo: true }, ({ json, headers }) =>
    expect(
      String(at(json, 'choices', 0, 'text')).startsWith('Once') || /echo/.test(headers.get('x-gateway-dropped-params') ?? ''),
      'text',
      at(json, 'choices', 0, 'text'),
      'the prompt before it',
    ),
  ),
  response(
    'tool_choice makes a call',
    functionCall,
    member(['output', 0], (item) => {
      const called = at(item, 'type') === 'function_call' && at(item, 'name') === 'set_light' && isText(at(item, 'call_id'));
      return called && typeof at(parse(at(item, 'arguments')), 'on') === 'boolean';
    }),
  ),
  response(
    'object',
    {},
    member(['object'], (value) => value === 'response'),
  ),
  response(
    'id',
    {},
    member(['id'], (value) => /^resp_./.test(String(value))),
  ),
  response(
    'the model as it was asked for',
    {},
    member(['model'], (value, { model }) => value === model),
  ),
  response('usage', {}, member(['usage', 'output_tokens'], isCount)),
  response('text', {}, (reply) => expect(outputText(reply) !== '', 'output', at(reply.json, 'output'), 'text')),
  response(
    'text.format json_schema',
    { text: { format: { type: 'json_schema', name: 'answer', strict: true, schema: answer } } },
    (reply) => expect(obeys(outputText(reply)), 'the text', outputText(reply), 'what the schema asks for'),
  ),
  check('messages: type, role, text and stop_reason', '/v1/messages', { max_tokens: 4, messages: question }, ({ json }, { model }) =>
    firstWrong(json, [
      [['type'], (value) => value === 'message'],
      [['role'], (value) => value === 'assistant'],
      [['model'], (value) => value === model],
      [['content', 0, 'text'], isText],
      [['stop_reason'], (value) => value === 'max_tokens'],
      [['usage', 'output_tokens'], isCount],
    ]),
  ),
  check(
    'count_tokens',
    '/v1/messages/count_tokens',
    { messages: question },
    member(['input_tokens'], (value) => Number(value) > 5),
  ),
  check('tokenize: tokens and their count', '/tokenize', { prompt: 'Once upon a time' }, ({ json }) =>
    expect(
      list(at(json, 'tokens')).length > 2 && at(json, 'count') === list(at(json, 'tokens')).length,
      'the reply',
      json,
      'tokens and count',
    ),
  ),
];

export const replyChecks: readonly Check[] = [...cards, ...whole];
