import { isMapping, parseJson, type Mapping } from '../core/json.ts';
import { editChoices, type ReplyMender } from './reply-mend.ts';

/** From a call's own beginning, or the end of the one before, up to where its arguments begin; the name is a JSON string. */
const beginning = /^\s*(?:\[|\}\s*,)?\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\S)/u;

/** What a piece of the text adds to the call of that index. `name`: with its first piece only. */
export interface WrittenPiece {
  readonly index: number;
  readonly name?: string;
  readonly arguments: string;
}

/** `{"name": …, "arguments": {…}}`, or a list of such with `arguments` or `parameters`, as it is written bit by bit. */
export class WrittenCalls {
  #head = '';
  #index = -1;
  #inArguments = false;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** What a further piece of the text adds: a name once for each call, and then its arguments, to whose text nothing is changed. */
  push(more: string): readonly WrittenPiece[] {
    const pieces: WrittenPiece[] = [];
    let rest = this.#inArguments ? this.#takeArguments(more, undefined, pieces) : more;
    while (!this.#inArguments) {
      const text = this.#head + rest;
      const found = beginning.exec(text);
      this.#head = found === null ? text : '';
      if (found === null) break;
      this.#inArguments = true;
      this.#index += 1;
      rest = this.#takeArguments(text.slice(found[0].length), String(parseJson(found[1] ?? '')), pieces);
    }
    return pieces;
  }

  /** Reads up to the end of the arguments, and gives back what stands behind. */
  #takeArguments(text: string, name: string | undefined, pieces: WrittenPiece[]): string {
    let end = 0;
    while (end < text.length && this.#inArguments) this.#step(text[end++] ?? '');
    if (end > 0 || name !== undefined)
      pieces.push({ index: this.#index, ...(name === undefined ? {} : { name }), arguments: text.slice(0, end) });
    return text.slice(end);
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
      this.#inArguments = this.#depth > 0;
    }
  }
}

/** One choice's text. */
interface ChoiceText {
  readonly calls: WrittenCalls;
  /** Undefined until its beginning is known. */
  isCalls: boolean | undefined;
}

/** Makes tool calls of each choice's text that is calls written as JSON. @param begins how such a text begins; without it each is taken for one */
export function writtenCalls(begins?: RegExp): ReplyMender {
  const texts = new Map<unknown, ChoiceText>();
  const textOf = (index: unknown): ChoiceText => {
    const text = texts.get(index) ?? { calls: new WrittenCalls(), isCalls: begins === undefined ? true : undefined };
    texts.set(index, text);
    return text;
  };
  return editChoices((choice, key) => called(choice, key, textOf(choice['index']), begins));
}

function called(choice: Mapping, key: 'delta' | 'message', text: ChoiceText, begins: RegExp | undefined): Mapping {
  const said = choice[key];
  const content = isMapping(said) ? said['content'] : undefined;
  if (text.isCalls === undefined && typeof content === 'string' && content.trim() !== '') text.isCalls = begins?.test(content);
  if (text.isCalls !== true) return choice;
  const finish = choice['finish_reason'] === 'stop' ? { finish_reason: 'tool_calls' } : {};
  if (!isMapping(said) || typeof content !== 'string') return { ...choice, ...finish };
  const { content: _, ...rest } = said;
  const pieces = text.calls.push(content);
  return { ...choice, ...finish, [key]: { ...rest, ...(key === 'message' ? { content: null } : {}), ...asToolCalls(pieces, key) } };
}

function asToolCalls(pieces: readonly WrittenPiece[], key: 'delta' | 'message'): Mapping {
  if (pieces.length === 0) return {};
  const calls = pieces.map(({ index, ...added }) => ({
    ...(key === 'delta' ? { index } : {}),
    ...(added.name === undefined ? {} : { type: 'function' }),
    function: added,
  }));
  return { tool_calls: calls };
}
