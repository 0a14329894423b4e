import type { NormalizedRequest } from '../../core/request.ts';
import { takeConstraint } from '../constraint.ts';
import type { Constraint } from '../constraint.ts';
import type { Dialect, EngineRequest } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { mendFastapiError } from '../fastapi-error.ts';
import { goOnWith, unfinishedTurn } from '../go-on.ts';
import { nameReasoning, wrapImageUrls } from '../messages.ts';
import { openaiPath as paths } from '../openai-path.ts';
import { asItCame, isGeneration } from '../other-operations.ts';
import { RequestDraft } from '../request-draft.ts';
import { inOrder, nameAsAsked, replaceMark } from '../reply-mend.ts';
import type { ReplyMender } from '../reply-mend.ts';
import { nameSchema } from '../response-format.ts';
import { completeToolCalls, finishWithCalls } from '../tool-call-mend.ts';
import { dropUnsupported, leaveOutInternal, nameMaxTokens } from '../unsupported.ts';
import { internal, parameters, unsupported } from './parameters.ts';

/** What its HTTP server says while the engine behind it is being stopped, or for about 0.6 s after it was killed (0.26.0, on a GPU). */
const gone = ['cannot schedule new futures after shutdown', 'EngineCore encountered an issue'];

/** Checked against vLLM 0.26.0 and 0.32.0. Its replies carry the name of the model that answers: the public id, or an adapter's handle. */
export const dialect: Dialect = {
  paths,
  parameters,
  toEngine,
  mend,
  goOn: goOnWith(unfinishedTurn),
  readError: (status, body) => {
    const reply = readErrorReply(status, body);
    if (status === 500 && gone.some((words) => reply.message.includes(words))) {
      return { message: 'The engine has stopped.', type: 'server_error', status: 503 };
    }
    return mendFastapiError(status, reply);
  },
};

function mend(request: NormalizedRequest): ReplyMender {
  const model = nameAsAsked(request, request.model);
  if (request.operation !== 'chat') return inOrder(model);
  const named = namesItsCall(request) ? [finishWithCalls()] : [];
  // Its name for reasoning since 0.11; the others, and the clients that look for it at all, say `reasoning_content`.
  return inOrder([...model, replaceMark('"reasoning":', '"reasoning_content":'), completeToolCalls, ...named]);
}

/** Then vLLM's stream ends with `stop` (0.32.0), and its whole reply too. */
function namesItsCall(request: NormalizedRequest): boolean {
  return request.members.get('tool_choice')?.kind === 'object';
}

function toEngine(request: NormalizedRequest, _attemptId: string, adapter?: string): EngineRequest {
  const served = adapter ?? request.model;
  if (!isGeneration(request)) return asItCame(request, { served, internal, paths });
  const draft = new RequestDraft(request);
  if (request.requestedModel !== served) draft.set('model', served);
  leaveOutNoTools(draft);
  nameSchema(draft);
  structure(draft);
  nameMaxTokens(draft);
  nameReasoning(draft, 'reasoning');
  wrapImageUrls(draft);
  dropUnsupported(draft, unsupported, 'vLLM');
  leaveOutInternal(draft, internal);
  return draft.toRequest();
}

/** OpenAI takes an empty list of tools, and vLLM neither that nor a choice without tools. */
function leaveOutNoTools(draft: RequestDraft): void {
  const member = draft.request.members.get('tools');
  const none =
    member === undefined || member.kind === 'null' || (member.kind === 'array' && (draft.get('tools') as unknown[]).length === 0);
  if (!none) return;
  draft.leaveOut('tools');
  draft.leaveOut('tool_choice');
}

/** vLLM since 0.12 ignores its own former `guided_` words silently. */
function structure(draft: RequestDraft): void {
  const whitespace = draft.get('guided_whitespace_pattern');
  const constraint = takeConstraint(draft, ['structured_outputs']);
  if (constraint === undefined) return;
  const outputs = { ...inStructuredOutputs(constraint), ...(typeof whitespace === 'string' ? { whitespace_pattern: whitespace } : {}) };
  draft.set('structured_outputs', outputs);
}

function inStructuredOutputs(constraint: Constraint): object {
  switch (constraint.kind) {
    case 'schema':
      return { json: constraint.schema };
    case 'object':
      return { json_object: true };
    case 'regex':
      return { regex: constraint.regex };
    case 'choice':
      return { choice: constraint.choices };
    case 'grammar':
      return { grammar: constraint.grammar };
  }
}
