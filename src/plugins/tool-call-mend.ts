import { editChoices } from './reply-mend.ts';
import type { ReplyMender } from './reply-mend.ts';
import { isMapping, type Mapping } from '../core/json.ts';

/** Gives tool calls what OpenAI's always have: an id (clients send it back with the result), a type, and arguments as text. */
export const completeToolCalls: ReplyMender = editChoices(
  withWholeCalls,
  // Of a stream only the first part of a call has a name, and only it must have an id.
  (bytes, key) => bytes.includes('"tool_calls":[{') && (key === 'message' || bytes.includes('"name":"')),
);

/** Says `tool_calls` of choices that called, where the engine says `stop` of a call that it was told to make. */
export function finishWithCalls(): ReplyMender {
  const called = new Set<unknown>();
  return editChoices(
    (choice, key) => {
      const said = choice[key];
      if (isMapping(said) && Array.isArray(said['tool_calls']) && said['tool_calls'].length > 0) called.add(choice['index']);
      return choice['finish_reason'] === 'stop' && called.has(choice['index']) ? { ...choice, finish_reason: 'tool_calls' } : choice;
    },
    (bytes) => bytes.includes('"tool_calls":[{') || bytes.includes('"finish_reason":"stop"'),
  );
}

function withWholeCalls(choice: Mapping, key: 'delta' | 'message', { id }: Mapping, at: number): Mapping {
  const said = choice[key];
  if (!isMapping(said) || !Array.isArray(said['tool_calls'])) return choice;
  const prefix = `call_${typeof id === 'string' ? id.replace(/^chatcmpl-/u, '') : ''}`;
  const place = typeof choice['index'] === 'number' ? choice['index'] : at;
  const before = said['tool_calls'] as unknown[];
  const calls = before.map((call, index) => completed(call, `${prefix}_${place}`, index));
  return calls.some((call, index) => call !== before[index]) ? { ...choice, [key]: { ...said, tool_calls: calls } } : choice;
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
