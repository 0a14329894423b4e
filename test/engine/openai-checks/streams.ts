import { at, list, parse, short } from '../../../src/conformance/json.ts';
import { ask, type Check, expect, isText, type Reply, type Target } from './check.ts';
import { functionCall, tool } from './replies.ts';

type Judge = (events: readonly unknown[], reply: Reply, target: Target) => string | undefined;

const check = (name: string, path: string, body: object, judge: Judge): Check => ({
  name,
  run: async (target) => {
    const reply = await ask(target, { path, body: { model: target.model, temperature: 0, stream: true, ...body } });
    return reply.status === 200 ? judge(reply.events, reply, target) : `${reply.status}: ${short(reply.text)}; expected 200`;
  },
});
const user = [{ role: 'user', content: 'What is the capital of France? Answer in one sentence.' }];
const chat = (name: string, judge: Judge, more: object = {}): Check =>
  check(`chat stream: ${name}`, '/v1/chat/completions', { messages: user, max_tokens: 4, ...more }, judge);
const completion = (name: string, judge: Judge, more: object = {}): Check =>
  check(`completions stream: ${name}`, '/v1/completions', { prompt: 'Once upon a time', max_tokens: 4, ...more }, judge);
const response = (name: string, judge: Judge): Check =>
  check(`responses stream: ${name}`, '/v1/responses', { input: 'Hi', max_output_tokens: 4 }, judge);
const message = (name: string, judge: Judge): Check =>
  check(`messages stream: ${name}`, '/v1/messages', { messages: user, max_tokens: 4 }, judge);

const chunksOf = (events: readonly unknown[]): readonly unknown[] => events.filter((event) => event !== '[DONE]');
const only = (events: readonly unknown[], name: string): Set<unknown> => new Set(chunksOf(events).map((chunk) => at(chunk, name)));
const choices = (events: readonly unknown[]): readonly unknown[] => events.flatMap((event) => list(at(event, 'choices')));
const typesOf = (events: readonly unknown[]): readonly string[] => events.map((event) => String(at(event, 'type')));
const usages = (events: readonly unknown[]): readonly unknown[] =>
  chunksOf(events).filter((chunk) => typeof at(chunk, 'usage') === 'object' && at(chunk, 'usage') !== null);

const apart: Judge = (events) => {
  const last = chunksOf(events).at(-1);
  return expect(
    usages(events).length === 1 && last === usages(events)[0] && list(at(last, 'choices')).length === 0,
    'the last chunk',
    last,
    'usage alone, and nowhere else',
  );
};
const unasked: Judge = (events) => expect(usages(events).length === 0, 'usage', usages(events)[0], 'none, for it was not asked for');
const withUsage = { stream_options: { include_usage: true } };

/** One call of `set_light`, whose id and name come first and once, and whose arguments are whole. */
const calls: Judge = (events) => {
  const parts = choices(events).flatMap((choice) => list(at(choice, 'delta', 'tool_calls')));
  const texts = parts.map((part) => at(part, 'function', 'arguments'));
  const written = texts.filter((text) => typeof text === 'string').join('');
  const begins = isText(at(parts[0], 'id')) && at(parts[0], 'type') === 'function' && at(parts[0], 'function', 'name') === 'set_light';
  const once = parts.slice(1).every((part) => at(part, 'id') === undefined && at(part, 'function', 'name') === undefined);
  const ended = choices(events).some((choice) => at(choice, 'finish_reason') === 'tool_calls');
  const right = begins && once && ended && typeof at(parse(written), 'on') === 'boolean';
  return expect(right, 'tool_calls', parts, 'set_light with {"on": …}, and finish_reason tool_calls');
};

export const streamChecks: readonly Check[] = [
  chat('Content-Type', (_events, { headers }) =>
    expect(
      (headers.get('content-type') ?? '').startsWith('text/event-stream'),
      'Content-Type',
      headers.get('content-type'),
      'text/event-stream',
    ),
  ),
  chat('[DONE] at the end', (events) => expect(events.at(-1) === '[DONE]', 'the last event', events.at(-1), '[DONE]')),
  chat('object of each chunk', (events) =>
    expect([...only(events, 'object')].join() === 'chat.completion.chunk', 'object', [...only(events, 'object')], 'chat.completion.chunk'),
  ),
  chat('one id', (events) => expect(only(events, 'id').size === 1, 'id', [...only(events, 'id')], 'one')),
  chat('the model as it was asked for', (events, _reply, { model }) =>
    expect([...only(events, 'model')].join() === model, 'model', [...only(events, 'model')], model),
  ),
  chat('the first chunk has the role, and no other', (events) => {
    const roles = choices(events).map((choice) => at(choice, 'delta', 'role'));
    return expect(roles[0] === 'assistant' && roles.filter((role) => role !== undefined).length === 1, 'roles', roles, 'assistant, once');
  }),
  chat('one finish_reason, at the end', (events) => {
    const ends = choices(events).map((choice) => at(choice, 'finish_reason') ?? null);
    return expect(ends.at(-1) === 'length' && ends.filter((end) => end !== null).length === 1, 'finish_reason', ends, 'length, once');
  }),
  chat('no usage unless asked', unasked),
  chat('tool_choice required makes a call', calls, { tools: [tool], tool_choice: 'required', max_tokens: 120 }),
  chat('tool_choice by name makes that call', calls, {
    tools: [{ type: 'function', function: { name: 'open_door' } }, tool],
    tool_choice: { type: 'function', function: { name: 'set_light' } },
    max_tokens: 120,
  }),
  chat('usage in a last chunk of its own', apart, withUsage),
  completion('[DONE] at the end', (events) => expect(events.at(-1) === '[DONE]', 'the last event', events.at(-1), '[DONE]')),
  completion('ids', (events) =>
    expect(only(events, 'id').size === 1 && String(at(events[0], 'id')).startsWith('cmpl-'), 'id', [...only(events, 'id')], 'one cmpl-…'),
  ),
  completion('object of each chunk', (events) =>
    expect([...only(events, 'object')].join() === 'text_completion', 'object', [...only(events, 'object')], 'text_completion'),
  ),
  completion('no usage unless asked', unasked),
  completion('usage in a last chunk of its own', apart, withUsage),
  response('events in order', (events) => {
    const types = typesOf(events);
    // The limit of tokens cuts it off; llama-server calls that completed.
    const ended = ['response.completed', 'response.incomplete'].includes(String(types.at(-1)));
    const right = types[0] === 'response.created' && ended && types.includes('response.output_text.delta');
    return expect(right, 'types', types, 'created … completed or incomplete');
  }),
  response('sequence_number', (events) => {
    const numbers = events.map((event) => at(event, 'sequence_number'));
    return expect(
      numbers.every((number, place) => number === place),
      'sequence_number',
      numbers,
      '0, 1, 2 …',
    );
  }),
  response('output_index and content_index', (events) => {
    const delta = events.find((event) => at(event, 'type') === 'response.output_text.delta');
    return expect(at(delta, 'output_index') === 0 && at(delta, 'content_index') === 0, 'a delta', delta, 'both 0');
  }),
  response('the first snapshot has an output', (events) =>
    expect(Array.isArray(at(events[0], 'response', 'output')), 'response.created', events[0], 'output: []'),
  ),
  check('responses stream: tool_choice required makes a call', '/v1/responses', functionCall, (events) => {
    const types = typesOf(events).filter((type) => /function_call|output_item|output_text/u.test(type));
    const last = at(events.at(-1), 'response', 'output', 0);
    const done = events.find((event) => at(event, 'type') === 'response.output_item.done');
    const whole = at(last, 'name') === 'set_light' && typeof at(parse(at(last, 'arguments')), 'on') === 'boolean';
    const right =
      types[0] === 'response.output_item.added' &&
      types.at(-1) === 'response.output_item.done' &&
      types.at(-2) === 'response.function_call_arguments.done' &&
      types.slice(1, -2).every((type) => type === 'response.function_call_arguments.delta');
    return expect(
      right && whole && at(done, 'item', 'call_id') === at(last, 'call_id'),
      'the events',
      [types, last],
      'one call of set_light',
    );
  }),
  response('event: is the type', (events, { text }) => {
    const names = [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
    const types = typesOf(events);
    return expect(names.join() === types.join(), 'event:', names, types.join());
  }),
  message('events in order', (events) => {
    const types = typesOf(events);
    const right =
      types[0] === 'message_start' &&
      types.at(-1) === 'message_stop' &&
      types.at(-2) === 'message_delta' &&
      types.includes('content_block_delta');
    return expect(right, 'types', types, 'message_start … message_delta, message_stop');
  }),
  message('the model as it was asked for', (events, _reply, { model }) =>
    expect(at(events[0], 'message', 'model') === model, 'model', at(events[0], 'message', 'model'), model),
  ),
  message('stop_reason', (events) => {
    const delta = events.find((event) => at(event, 'type') === 'message_delta');
    return expect(at(delta, 'delta', 'stop_reason') === 'max_tokens', 'stop_reason', at(delta, 'delta', 'stop_reason'), 'max_tokens');
  }),
];
