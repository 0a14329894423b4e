import type { Dialect } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { nameAsAsked } from '../reply-mend.ts';
import { openaiPath } from '../openai-path.ts';

/** The fake engine speaks OpenAI's API as it is: requests go on as they came, error codes are strings. */
export const dialect: Dialect = {
  toEngine: (request) => ({ path: openaiPath[request.operation], body: request.raw }),
  mend: (request) => nameAsAsked(request, request.model)[0],
  goOn: (body, text) => ({ ...body, text_so_far: text }),
  readError: readErrorReply,
};
