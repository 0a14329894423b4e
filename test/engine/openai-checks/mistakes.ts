import { at, short } from '../../../src/conformance/json.ts';
import { ask, type Asked, type Check, errorProblem, expect, firstWrong, isText, type Target } from './check.ts';

interface Mistake {
  readonly name: string;
  /** @param model that is served */
  readonly asked: (model: string) => Asked;
  /** Any of these. */
  readonly statuses: readonly number[];
  /** `error.code`, where clients tell by it what to do. */
  readonly code?: string;
}

const user = [{ role: 'user', content: 'Hi' }];
const chat = (more: object) => (model: string) => ({
  path: '/v1/chat/completions',
  body: { model, messages: user, max_tokens: 4, ...more },
});
const bad = (name: string, more: object): Mistake => ({ name, asked: chat(more), statuses: [400] });
const raw = (name: string, body: string | Buffer<ArrayBuffer>): Mistake => ({
  name,
  asked: () => ({ path: '/v1/chat/completions', body }),
  statuses: [400],
});
const at400 = (name: string, path: string, body: object): Mistake => ({
  name,
  asked: (model) => ({ path, body: { model, ...body } }),
  statuses: [400],
});
const missing = (path: string, body: object): Mistake => ({
  name: `${path}: a model that is not there`,
  asked: () => ({ path, body: { ...body, model: 'no-such-model' } }),
  statuses: [404],
  code: 'model_not_found',
});

const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };

const mistakes: readonly Mistake[] = [
  bad('messages is a text', { messages: 'Hi' }),
  bad('messages is left out', { messages: undefined }),
  bad('a message without a role', { messages: [{ content: 'Hi' }] }),
  bad('a message that is a text', { messages: ['Hi'] }),
  bad('temperature is a text', { temperature: 'hot' }),
  bad('max_tokens is a text', { max_tokens: 'many' }),
  bad('stream is a text', { stream: 'yes' }),
  bad('stop is a number', { stop: 5 }),
  bad('a tool without a type', { tools: [{}] }),
  bad('a tool without a function', { tools: [{ type: 'function' }] }),
  bad('tools is an object', { tools: {} }),
  bad('tool_choice names a function that is not offered', {
    tool_choice: { type: 'function', function: { name: 'g' } },
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
  }),
  bad('tool_choice is an unknown word', {
    tool_choice: 'perhaps',
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
  }),
  bad('response_format is a text', { response_format: 'json' }),
  bad('response_format of an unknown type', { response_format: { type: 'xml' } }),
  bad('an image for a model that reads text', { messages: [{ role: 'user', content: [image] }] }),
  {
    name: 'a prompt that is too long',
    asked: chat({ messages: [{ role: 'user', content: 'word '.repeat(5000) }] }),
    statuses: [400],
    code: 'context_length_exceeded',
  },
  raw('a body that is no JSON', '{"model":'),
  raw('a body that is a list', '[]'),
  raw('an empty body', ''),
  raw('a body that is not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
  at400('completions: prompt is left out', '/v1/completions', {}),
  at400('completions: prompt is an object', '/v1/completions', { prompt: {} }),
  at400('responses: input is left out', '/v1/responses', {}),
  at400('responses: input is a number', '/v1/responses', { input: 5 }),
  missing('/v1/chat/completions', { messages: user, max_tokens: 1 }),
  missing('/v1/completions', { prompt: 'Hi', max_tokens: 1 }),
  missing('/v1/responses', { input: 'Hi', max_output_tokens: 1 }),
  missing('/v1/embeddings', { input: 'Hi' }),
  {
    name: 'GET /v1/models/{id} of one that is not there',
    asked: () => ({ path: '/v1/models/no-such-model' }),
    statuses: [404],
    code: 'model_not_found',
  },
  { name: 'a path that is not there', asked: () => ({ path: '/v1/nothing' }), statuses: [404] },
  { name: 'GET of a path that takes POST', asked: () => ({ path: '/v1/chat/completions' }), statuses: [404, 405] },
  {
    name: 'a wrong key',
    asked: (model) => ({ ...chat({})(model), headers: { authorization: 'Bearer wrong' } }),
    statuses: [401],
    code: 'invalid_api_key',
  },
];

function checksOf({ name, asked, statuses, code }: Mistake): readonly Check[] {
  const status: Check = {
    name: `${name}: ${statuses.join(' or ')}`,
    run: async (target) => {
      const reply = await ask(target, asked(target.model));
      return expect(statuses.includes(reply.status), 'the status', `${reply.status} ${reply.text}`, statuses.join(' or '));
    },
  };
  const shape: Check = {
    name: `${name}: OpenAI's error object`,
    run: async (target) => {
      const reply = await ask(target, asked(target.model));
      if (reply.status < 400) return `no error: ${reply.status} ${short(reply.text)}`;
      return (
        errorProblem(reply) ??
        (code === undefined
          ? undefined
          : expect(at(reply.json, 'error', 'code') === code, 'error.code', at(reply.json, 'error', 'code'), code))
      );
    },
  };
  return [status, shape];
}

/** The same for Anthropic's routes, whose errors have a shape of their own. */
const anthropic = (name: string, body: (model: string) => object, status: number, type: string): Check => ({
  name: `/v1/messages: ${name}: ${status} ${type}`,
  run: async (target: Target) => {
    const reply = await ask(target, { path: '/v1/messages', body: body(target.model) });
    if (reply.status !== status) return `${reply.status}: ${short(reply.text)}; expected ${status}`;
    return firstWrong(reply.json, [
      [['type'], (value) => value === 'error'],
      [['error', 'type'], (value) => value === type],
      [['error', 'message'], isText],
    ]);
  },
});

export const mistakeChecks: readonly Check[] = [
  ...mistakes.flatMap(checksOf),
  anthropic('messages is left out', (model) => ({ model, max_tokens: 4 }), 400, 'invalid_request_error'),
  anthropic('messages is a text', (model) => ({ model, max_tokens: 4, messages: 'Hi' }), 400, 'invalid_request_error'),
  anthropic('a message without a role', (model) => ({ model, max_tokens: 4, messages: [{ content: 'Hi' }] }), 400, 'invalid_request_error'),
  anthropic('a model that is not there', () => ({ model: 'no-such-model', max_tokens: 1, messages: user }), 404, 'not_found_error'),
];
