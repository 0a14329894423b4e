import type { Operation } from '../../core/request.ts';
import { anyObject, errorSchema, integer, type JsonSchema, listOf, named, number, objectOf, orNull, text } from './parts.ts';

const is = (value: string): JsonSchema => ({ const: value });
const usage = objectOf({ prompt_tokens: integer, completion_tokens: integer, total_tokens: integer }, ['completion_tokens']);

/** Whole replies. What stands here is there on every engine; engines add members of their own. */
export const replySchemas: Readonly<Record<string, JsonSchema>> = {
  Error: errorSchema,
  MessagesError: objectOf({
    type: is('error'),
    error: objectOf({ type: text, message: text, code: text, param: orNull(text) }),
  }),
  ChatCompletion: objectOf(
    {
      id: text,
      object: is('chat.completion'),
      created: integer,
      model: text,
      choices: listOf(
        objectOf({ index: integer, message: objectOf({ role: is('assistant'), content: orNull(text) }), finish_reason: orNull(text) }),
      ),
      usage,
    },
    ['usage'],
  ),
  Completion: objectOf(
    {
      id: text,
      object: is('text_completion'),
      created: integer,
      model: text,
      choices: listOf(objectOf({ index: integer, text, finish_reason: orNull(text) })),
      usage,
    },
    ['usage'],
  ),
  Response: objectOf({ id: text, object: is('response'), created_at: number, status: text, model: text, output: listOf(anyObject) }),
  Message: objectOf({
    id: text,
    type: is('message'),
    role: is('assistant'),
    model: text,
    content: listOf(objectOf({ type: text })),
    stop_reason: orNull(text),
    usage: objectOf({ input_tokens: integer, output_tokens: integer }),
  }),
  TokenCount: objectOf({ input_tokens: integer }),
  Embeddings: objectOf({
    object: is('list'),
    model: text,
    data: listOf(
      objectOf({ object: is('embedding'), index: integer, embedding: { anyOf: [listOf(number), { ...text, description: 'In base64.' }] } }),
    ),
    usage,
  }),
  Rerank: objectOf({ results: listOf(objectOf({ index: integer, relevance_score: number })) }),
  Score: objectOf({ data: listOf(objectOf({ index: integer, score: number })) }),
  Tokens: objectOf({ count: integer, tokens: listOf(integer) }),
  Detokenized: objectOf({ prompt: text }),
  Transcription: objectOf({ text }),
  Model: objectOf(
    {
      id: text,
      object: is('model'),
      created: { ...integer, description: 'Unix seconds.' },
      owned_by: text,
      parent: { ...orNull(text), description: 'Of a LoRA adapter: the model it belongs to.' },
      status: { ...text, description: '`ready`, or what its nearest replica does; `not loaded` of an adapter that no replica has yet.' },
      max_model_len: { ...integer, description: 'Tokens of prompt and reply together, once the engine has told.' },
    },
    ['max_model_len'],
  ),
  ModelList: objectOf({ object: is('list'), data: listOf(named('Model')) }),
  Health: objectOf({ status: is('ok') }),
  Readiness: objectOf({
    status: { enum: ['ready', 'starting', 'draining'] },
    models: listOf(objectOf({ id: text, phase: text, replicas: integer, error: text }, ['error'])),
  }),
};

/** The schema of an operation's whole reply. */
export const replyOf: Readonly<Record<Operation, string>> = {
  chat: 'ChatCompletion',
  completions: 'Completion',
  responses: 'Response',
  messages: 'Message',
  count_tokens: 'TokenCount',
  embeddings: 'Embeddings',
  rerank: 'Rerank',
  score: 'Score',
  tokenize: 'Tokens',
  detokenize: 'Detokenized',
  transcriptions: 'Transcription',
};
