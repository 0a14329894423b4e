import type { Operation } from '../core/request.ts';

/** Whose API a route belongs to: the shape of its errors, and of its streams' events. */
export type Api = 'openai' | 'responses' | 'anthropic';

export interface OperationRow {
  /** Paths on the data port; below an application's prefix those that begin with `/v1/`. The first one is the name it goes by. */
  readonly routes: readonly [string, ...string[]];
  readonly api: Api;
  /** Whether `stream: true` makes it a stream of events. */
  readonly streams: boolean;
  readonly body: 'json' | 'form';
  /** Parameters that must be there: of each list one. */
  readonly required: readonly (readonly string[])[];
  /** One line for the API's document. */
  readonly summary: string;
}

/** Everything that is asked of models: the only list of these routes. */
export const operations: Readonly<Record<Operation, OperationRow>> = {
  chat: {
    routes: ['/v1/chat/completions'],
    api: 'openai',
    streams: true,
    body: 'json',
    required: [['messages']],
    summary: 'The next message of a conversation.',
  },
  completions: {
    routes: ['/v1/completions'],
    api: 'openai',
    streams: true,
    body: 'json',
    required: [['prompt']],
    summary: 'The text that follows a prompt.',
  },
  responses: {
    routes: ['/v1/responses'],
    api: 'responses',
    streams: true,
    body: 'json',
    required: [['input', 'prompt']],
    summary: "OpenAI's Responses API. Nothing is stored: `previous_response_id` is the engine's to judge.",
  },
  messages: {
    routes: ['/v1/messages'],
    api: 'anthropic',
    streams: true,
    body: 'json',
    required: [['messages']],
    summary: "Anthropic's Messages API.",
  },
  count_tokens: {
    routes: ['/v1/messages/count_tokens'],
    api: 'anthropic',
    streams: false,
    body: 'json',
    required: [['messages']],
    summary: 'How many tokens a Messages request has.',
  },
  embeddings: {
    routes: ['/v1/embeddings'],
    api: 'openai',
    streams: false,
    body: 'json',
    required: [['input', 'messages']],
    summary: 'A vector for each text.',
  },
  rerank: {
    routes: ['/v1/rerank'],
    api: 'openai',
    streams: false,
    body: 'json',
    required: [['query'], ['documents']],
    summary: 'Documents in the order of their relevance to a query.',
  },
  score: {
    routes: ['/v1/score'],
    api: 'openai',
    streams: false,
    body: 'json',
    required: [['text_1', 'queries', 'query', 'data_1']],
    summary: 'How alike pairs of texts are.',
  },
  tokenize: {
    routes: ['/v1/tokenize', '/tokenize'],
    api: 'openai',
    streams: false,
    body: 'json',
    required: [['prompt', 'messages', 'content']],
    summary: 'The tokens of a text.',
  },
  detokenize: {
    routes: ['/v1/detokenize', '/detokenize'],
    api: 'openai',
    streams: false,
    body: 'json',
    required: [['tokens']],
    summary: 'The text of tokens.',
  },
  transcriptions: {
    routes: ['/v1/audio/transcriptions'],
    api: 'openai',
    streams: true,
    body: 'form',
    required: [['file']],
    summary: 'The words of a recording.',
  },
};

export const operationNames = Object.keys(operations) as readonly Operation[];
