import type { Operation } from '../core/request.ts';

/** The operations that an engine serves, and where; what is not among them it cannot do. */
export type EnginePaths = Readonly<Partial<Record<Operation, string>>>;

/** Where OpenAI's API, and engines that follow it, serve an operation. */
export const openaiPath = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
  embeddings: '/v1/embeddings',
  rerank: '/v1/rerank',
  score: '/v1/score',
  tokenize: '/tokenize',
  detokenize: '/detokenize',
  transcriptions: '/v1/audio/transcriptions',
} as const satisfies Readonly<Record<Operation, string>>;
