import { named } from '../../core/parameter.ts';
import type { NormalizedRequest } from '../../core/request.ts';
import type { Dialect, EngineRequest } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { nameAsAsked } from '../reply-mend.ts';
import { openaiPath as paths } from '../openai-path.ts';
import { asItCame, isGeneration } from '../other-operations.ts';
import { RequestDraft } from '../request-draft.ts';

/** The fake engine speaks OpenAI's API as it is: requests go on as they came, but for the adapter; error codes are strings. */
export const dialect: Dialect = {
  paths,
  parameters: new Map(named('adapter', 'text_so_far')),
  toEngine,
  mend: (request) => nameAsAsked(request, request.model)[0],
  goOn: (body, text) => ({ ...body, text_so_far: text }),
  readError: readErrorReply,
};

function toEngine(request: NormalizedRequest, _attemptId: string, adapter?: string): EngineRequest {
  if (!isGeneration(request)) return asItCame(request, { served: request.requestedModel, internal: ['adapter'], paths });
  const draft = new RequestDraft(request);
  draft.leaveOut('adapter');
  if (adapter !== undefined) draft.set('adapter', adapter);
  return draft.toRequest();
}
