import { isMapping } from '../../../core/json.ts';

/** A generation request, as far as the fake engine reads it. */
export interface Generation {
  readonly kind: 'chat' | 'completions';
  /** The text to echo: the last user message, or the prompt. */
  readonly prompt: string;
  readonly promptTokens: number;
  readonly maxTokens: number | undefined;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** What another engine has said of the reply already: only the rest is given. */
  readonly textSoFar: string;
}

export interface ReplyHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

export type FinishReason = 'stop' | 'length' | 'abort';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** A body's members. */
export type Fields = Readonly<Record<string, unknown>>;

/** A mistake of the client, answered with `status`. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly status: number;
  constructor(message: string, param?: string, code?: string, status = 400) {
    super(message);
    this.status = status;
    this.param = param;
    this.code = code;
  }
}

/** @throws RequestError */
export function readGeneration(kind: Generation['kind'], fields: Fields): Generation {
  const texts = kind === 'chat' ? messageTexts(fields['messages']) : promptTexts(fields['prompt']);
  const stream = fields['stream'] ?? false;
  if (typeof stream !== 'boolean') throw new RequestError(`stream: got ${JSON.stringify(stream)}, expected true or false`, 'stream');
  if ((fields['n'] ?? 1) !== 1) throw new RequestError('n: the fake engine gives one choice only', 'n');
  return {
    kind,
    prompt: texts.at(-1) ?? '',
    promptTokens: texts.reduce((sum, text) => sum + tokenize(text).length, 0),
    maxTokens: readLimit(fields, 'max_completion_tokens') ?? readLimit(fields, 'max_tokens'),
    stream,
    textSoFar: typeof fields['text_so_far'] === 'string' ? fields['text_so_far'] : '',
    includeUsage: isMapping(fields['stream_options']) && fields['stream_options']['include_usage'] === true,
  };
}

/** Words, each with the blanks before it; together they are the text. */
export function tokenize(text: string): readonly string[] {
  return text.match(/\s*\S+(?:\s+$)?|\s+$/gu) ?? [];
}

/** @throws RequestError */
export function parseBody(body: Buffer): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new RequestError(`the body is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (!isMapping(parsed)) throw new RequestError('the body must be a JSON object');
  return parsed;
}

function messageTexts(messages: unknown): readonly string[] {
  if (!Array.isArray(messages) || messages.length === 0) throw new RequestError('messages: expected a non-empty array', 'messages');
  return messages.map((message: unknown, at) => {
    if (!isMapping(message) || typeof message['role'] !== 'string') {
      throw new RequestError(`messages[${at}]: expected an object with a role`, 'messages');
    }
    return contentText(message['content']);
  });
}

/** A message's content: a string, or parts of which the texts count. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: unknown) => (isMapping(part) && typeof part['text'] === 'string' ? part['text'] : '')).join(' ');
}

function promptTexts(prompt: unknown): readonly string[] {
  if (typeof prompt === 'string') return [prompt];
  if (Array.isArray(prompt) && prompt.length > 0) return [prompt.map(String).join(' ')];
  throw new RequestError('prompt: expected a string or a non-empty array', 'prompt');
}

function readLimit(fields: Fields, name: string): number | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new RequestError(`${name}: got ${JSON.stringify(value)}, expected a whole number of at least 1`, name);
  }
  return value;
}

/** A whole reply. */
export function completionBody(kind: Generation['kind'], head: ReplyHead, text: string, reason: FinishReason, usage: Usage): object {
  const said = kind === 'chat' ? { message: { role: 'assistant', content: text } } : { text };
  const object = kind === 'chat' ? 'chat.completion' : 'text_completion';
  const { id, created, model } = head;
  return { id, object, created, model, choices: [{ index: 0, ...said, logprobs: null, finish_reason: reason }], usage };
}

export type ChunkContent =
  | { readonly kind: 'role' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'finish'; readonly reason: FinishReason }
  | { readonly kind: 'usage'; readonly usage: Usage };

/** One event of a stream. */
export function chunkBody(kind: Generation['kind'], { id, created, model }: ReplyHead, content: ChunkContent): object {
  const head = { id, object: kind === 'chat' ? 'chat.completion.chunk' : 'text_completion', created, model };
  if (content.kind === 'usage') return { ...head, choices: [], usage: content.usage };
  const reason = content.kind === 'finish' ? content.reason : null;
  const said = kind === 'chat' ? { delta: delta(content) } : { text: content.kind === 'text' ? content.text : '' };
  return { ...head, choices: [{ index: 0, ...said, logprobs: null, finish_reason: reason }] };
}

function delta(content: Exclude<ChunkContent, { kind: 'usage' }>): object {
  if (content.kind === 'role') return { role: 'assistant', content: '' };
  return content.kind === 'text' ? { content: content.text } : {};
}

export function errorBody(message: string, type: string, param?: string, code?: string): object {
  return { error: { message, type, param: param ?? null, code: code ?? null } };
}
