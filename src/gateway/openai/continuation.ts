import type { NormalizedRequest } from '../../core/request.ts';
import { dataOf, doneEvent, eventOf, splitEvents } from '../../core/server-sent-events.ts';
import type { GoOn } from '../../plugins/engine-plugin.ts';
import { isMapping, type Mapping, parseJson } from '../../core/json.ts';

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0);

/** Fields that make of a reply more than one text, or a text whose form depends on all of it. */
const bound = [
  'tools',
  'functions',
  'logprobs',
  'top_logprobs',
  'prompt_logprobs',
  'echo',
  'suffix',
  'audio',
  'prediction',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'structured_outputs',
  'grammar',
  'json_schema',
  'regex',
  'ebnf',
  'continue_final_message',
] as const;
/** What a delta may carry besides its text: then the text alone does not tell the engine where it was. */
const beyondText = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'refusal', 'audio'] as const;
const limits = ['max_tokens', 'max_completion_tokens'] as const;

/** Whether the stream of this request could be gone on with by another replica from its text so far. */
export function resumable(request: NormalizedRequest): boolean {
  if (!request.stream || (request.operation !== 'chat' && request.operation !== 'completions')) return false;
  const body = request.body();
  const format = body['response_format'];
  if (bound.some((name) => !isEmpty(body[name])) || (isMapping(format) && format['type'] !== 'text')) return false;
  if ((body['n'] ?? 1) !== 1 || (body['best_of'] ?? 1) !== 1) return false;
  if (request.operation === 'completions') return typeof body['prompt'] === 'string';
  const messages: unknown = body['messages'];
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  return isMapping(last) && last['role'] !== 'assistant';
}

/**
 * A stream's text so far, so that another replica can go on where one died, and the client sees one unbroken stream: its id, one role,
 * one `finish_reason`, usage over all of it. Tokens are counted by chunks that carry text; engines that pack several into one are
 * allowed a few more than the client's limit, and their usage counts these as prompt.
 */
export class Continuation {
  #text = '';
  #tokens = 0;
  /** Tokens of all replicas before the present one. */
  #priorTokens = 0;
  /** `id`, `created`, `model` and `object` of the first chunk. */
  #head: Mapping = {};
  #hasRole = false;
  #resumed = false;
  #open = true;

  /** Whether the stream could be gone on with now: it is neither whole nor more than text. */
  get open(): boolean {
    return this.#open;
  }

  /** Takes in whole events on their way to the client, and gives back the bytes that go there: as they came before the first break. */
  pass(events: Buffer): Buffer {
    const passed: string[] = [];
    for (const event of splitEvents(events.toString('utf8'))) {
      const chunk = parseJson(dataOf(event) ?? '');
      const text = isMapping(chunk) ? this.#take(chunk, event) : event;
      if (text !== undefined) passed.push(text);
    }
    return this.#resumed ? Buffer.from(passed.join('')) : events;
  }

  /**
   * Another replica takes over: what it is asked.
   * @returns undefined when the client's limit on tokens is reached, so that only `ending` is left to say.
   */
  resume(original: NormalizedRequest, goOn: GoOn): Mapping | undefined {
    this.#resumed = true;
    this.#priorTokens = this.#tokens;
    const before = original.body();
    const left = Object.fromEntries(
      limits.flatMap((name) => (typeof before[name] === 'number' ? [[name, before[name] - this.#tokens] as const] : [])),
    );
    if (Object.values(left).some((count) => count <= 0)) return undefined;
    return { ...(this.#text === '' ? before : goOn(before, this.#text, original.operation)), ...left };
  }

  /** The end of a stream whose last token was sent before the replica died. */
  ending(operation: NormalizedRequest['operation']): string {
    const said = operation === 'chat' ? { delta: {} } : { text: '' };
    return eventOf(JSON.stringify({ ...this.#head, choices: [{ index: 0, ...said, finish_reason: 'length' }] })) + doneEvent;
  }

  /** The event for the client; undefined: it has this already. */
  #take(chunk: Mapping, text: string): string | undefined {
    if (!this.#resumed) {
      const { id, object, created, model } = chunk;
      if (this.#head['id'] === undefined) this.#head = { id, object, created, model };
      this.#follow(chunk);
      return text;
    }
    const before = this.#tokens;
    const wasRole = this.#hasRole;
    this.#follow(chunk);
    const choices = Array.isArray(chunk['choices']) ? chunk['choices'].map((choice: unknown) => withoutRole(choice, wasRole)) : [];
    const usage = isMapping(chunk['usage']) ? { usage: wholeUsage(chunk['usage'], this.#priorTokens) } : {};
    if (this.#tokens === before && choices.length > 0 && choices.every(saysNothing) && Object.keys(usage).length === 0) return undefined;
    return eventOf(JSON.stringify({ ...chunk, ...this.#head, ...(Array.isArray(chunk['choices']) ? { choices } : {}), ...usage }));
  }

  #follow(chunk: Mapping): void {
    const choices: readonly unknown[] = Array.isArray(chunk['choices']) ? chunk['choices'] : [];
    for (const choice of choices) {
      if (!isMapping(choice)) continue;
      const delta = isMapping(choice['delta']) ? choice['delta'] : {};
      if ((choice['index'] ?? 0) !== 0 || beyondText.some((name) => !isEmpty(delta[name]))) this.#open = false;
      if (!isEmpty(choice['finish_reason'])) this.#open = false;
      if (!isEmpty(delta['role'])) this.#hasRole = true;
      const text = stringOf(delta['content']) ?? stringOf(choice['text']) ?? '';
      if (text === '') continue;
      this.#text += text;
      this.#tokens += 1;
    }
  }
}

const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function withoutRole(choice: unknown, hasRole: boolean): unknown {
  if (!hasRole || !isMapping(choice) || !isMapping(choice['delta'])) return choice;
  const { role: _, ...delta } = choice['delta'];
  return { ...choice, delta };
}

function saysNothing(choice: unknown): boolean {
  if (!isMapping(choice)) return false;
  const delta = isMapping(choice['delta']) ? choice['delta'] : {};
  return isEmpty(choice['finish_reason']) && isEmpty(choice['text']) && Object.values(delta).every(isEmpty);
}

/** To the last engine the text before was part of the prompt. */
function wholeUsage(usage: Mapping, prior: number): Mapping {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage;
  if (typeof prompt !== 'number' || typeof completion !== 'number') return usage;
  return { ...usage, prompt_tokens: Math.max(0, prompt - prior), completion_tokens: completion + prior };
}
