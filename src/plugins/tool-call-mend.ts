import { editEvents, parseObject } from './reply-mend.ts';
import type { ReplyMender } from './reply-mend.ts';
import { isMapping, type Mapping } from '../core/json.ts';

/** Gives tool calls what OpenAI's always have: an id (clients send it back with the result), a type, and arguments as text. */
export const completeToolCalls: ReplyMender = {
  events(bytes) {
    // Only the first part of a call has a name, and only it must have an id.
    if (!bytes.includes('"tool_calls":[{') || !bytes.includes('"name":"')) return bytes;
    return editEvents(bytes, (event) => {
      const edited = editChoices(event, 'delta');
      return edited === event ? undefined : [edited];
    });
  },
  whole(bytes) {
    if (!bytes.includes('"tool_calls":[{')) return bytes;
    const reply = parseObject(bytes.toString('utf8'));
    const edited = reply === undefined ? undefined : editChoices(reply, 'message');
    return edited === undefined || edited === reply ? bytes : Buffer.from(JSON.stringify(edited));
  },
};

/** Says `tool_calls` of choices that called, where the engine says `stop` of a call that it was told to make. */
export function finishWithCalls(): ReplyMender {
  const called = new Set<unknown>();
  const finished = (choice: unknown, key: 'delta' | 'message'): unknown => {
    if (!isMapping(choice)) return choice;
    const said = choice[key];
    if (isMapping(said) && Array.isArray(said['tool_calls']) && said['tool_calls'].length > 0) called.add(choice['index']);
    return choice['finish_reason'] === 'stop' && called.has(choice['index']) ? { ...choice, finish_reason: 'tool_calls' } : choice;
  };
  const edited = (reply: Mapping, key: 'delta' | 'message'): Mapping | undefined => {
    const { choices } = reply;
    if (!Array.isArray(choices)) return undefined;
    const ended = choices.map((choice: unknown) => finished(choice, key));
    return ended.some((choice, at) => choice !== choices[at]) ? { ...reply, choices: ended } : undefined;
  };
  return {
    events(bytes) {
      if (!bytes.includes('"tool_calls":[{') && !bytes.includes('"finish_reason":"stop"')) return bytes;
      return editEvents(bytes, (event) => {
        const instead = edited(event, 'delta');
        return instead === undefined ? undefined : [instead];
      });
    },
    whole(bytes) {
      const reply = parseObject(bytes.toString('utf8'));
      const instead = reply === undefined ? undefined : edited(reply, 'message');
      return instead === undefined ? bytes : Buffer.from(JSON.stringify(instead));
    },
  };
}

function editChoices(reply: Mapping, key: 'delta' | 'message'): Mapping {
  const { choices, id } = reply;
  if (!Array.isArray(choices)) return reply;
  const prefix = `call_${typeof id === 'string' ? id.replace(/^chatcmpl-/u, '') : ''}`;
  const edited = choices.map((choice: unknown, at) => {
    const said = isMapping(choice) ? choice[key] : undefined;
    if (!isMapping(choice) || !isMapping(said) || !Array.isArray(said['tool_calls'])) return choice;
    const place = typeof choice['index'] === 'number' ? choice['index'] : at;
    const before = said['tool_calls'] as unknown[];
    const calls = before.map((call, index) => completed(call, `${prefix}_${place}`, index));
    return calls.some((call, index) => call !== before[index]) ? { ...choice, [key]: { ...said, tool_calls: calls } } : choice;
  });
  return edited.some((choice, at) => choice !== choices[at]) ? { ...reply, choices: edited } : reply;
}

function completed(call: unknown, prefix: string, at: number): unknown {
  if (!isMapping(call) || !isMapping(call['function'])) return call;
  const { name, arguments: given } = call['function'];
  if (typeof name !== 'string' || name === '') return call;
  const index = typeof call['index'] === 'number' ? call['index'] : at;
  const hasId = typeof call['id'] === 'string' && call['id'] !== '';
  const isText = given === undefined || typeof given === 'string';
  if (hasId && isText && call['type'] === 'function') return call;
  return {
    ...call,
    id: hasId ? call['id'] : `${prefix}_${index}`,
    type: 'function',
    function: { ...call['function'], arguments: isText ? (given ?? '') : JSON.stringify(given) },
  };
}
