import { isMapping, parseJson, type Mapping } from '../../core/json.ts';
import { editEvents, parseObject, type ReplyMender } from '../reply-mend.ts';

/** Up to where the arguments begin; the name is a JSON string. */
const beginning = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)/u;

/** `{"name": …, "arguments": {…}}`, as it is written bit by bit. */
export class WrittenCall {
  #head = '';
  #named = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #ended = false;

  /** What a further piece of the text adds to the call: its name once, and then its arguments, to whose text nothing is changed. */
  push(text: string): { readonly name?: string; readonly arguments: string } | undefined {
    if (this.#named) return this.#argumentsOf(text);
    this.#head += text;
    const found = beginning.exec(this.#head);
    if (found === null) return undefined;
    this.#named = true;
    const rest = this.#head.slice(found[0].length);
    this.#head = '';
    return { name: String(parseJson(found[1] ?? '')), arguments: this.#argumentsOf(rest)?.arguments ?? '' };
  }

  #argumentsOf(text: string): { readonly arguments: string } | undefined {
    let end = 0;
    while (end < text.length && !this.#ended) this.#step(text[end++] ?? '');
    return end === 0 ? undefined : { arguments: text.slice(0, end) };
  }

  #step(character: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inString) {
      if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
    } else if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') {
      this.#depth -= 1;
      this.#ended = this.#depth === 0;
    }
  }
}

/** Makes a tool call of each choice's text, which is one written as JSON. */
export function writtenCall(): ReplyMender {
  const calls = new Map<unknown, WrittenCall>();
  const callOf = (index: unknown): WrittenCall => {
    const call = calls.get(index) ?? new WrittenCall();
    calls.set(index, call);
    return call;
  };
  return {
    events: (bytes) =>
      editEvents(bytes, (event) => {
        const { choices } = event;
        return Array.isArray(choices) && choices.length > 0
          ? [{ ...event, choices: choices.map((one) => called(one, 'delta', callOf)) }]
          : undefined;
      }),
    whole: (bytes) => {
      const reply = parseObject(bytes.toString('utf8'));
      if (reply === undefined || !Array.isArray(reply['choices'])) return bytes;
      return Buffer.from(JSON.stringify({ ...reply, choices: reply['choices'].map((one) => called(one, 'message', callOf)) }));
    },
  };
}

function called(choice: unknown, key: 'delta' | 'message', callOf: (index: unknown) => WrittenCall): unknown {
  if (!isMapping(choice)) return choice;
  const said = choice[key];
  const finish = choice['finish_reason'] === 'stop' ? { finish_reason: 'tool_calls' } : {};
  if (!isMapping(said) || typeof said['content'] !== 'string') return { ...choice, ...finish };
  const { content, ...rest } = said;
  const added = callOf(choice['index']).push(content);
  return { ...choice, ...finish, [key]: { ...rest, ...(key === 'message' ? { content: null } : {}), ...asToolCalls(added, key) } };
}

function asToolCalls(added: ReturnType<WrittenCall['push']>, key: 'delta' | 'message'): Mapping {
  if (added === undefined) return {};
  const named = added.name === undefined ? {} : { type: 'function' };
  return { tool_calls: [{ ...(key === 'delta' ? { index: 0 } : {}), ...named, function: added }] };
}
