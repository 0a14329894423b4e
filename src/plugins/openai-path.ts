import type { Operation } from '../core/request.ts';

/** Where OpenAI's API, and engines that follow it, serve an operation. */
export const openaiPath: Readonly<Record<Operation, string>> = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
};
