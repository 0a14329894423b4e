import { isMapping } from '../../core/json.ts';
import type { NormalizedRequest } from '../../core/request.ts';
import { takeConstraint } from '../constraint.ts';
import type { Dialect, EngineRequest } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { mendFastapiError } from '../fastapi-error.ts';
import { goOnWith, unfinishedTurn } from '../go-on.ts';
import { nameReasoning, wrapImageUrls } from '../messages.ts';
import { type EnginePaths, openaiPath } from '../openai-path.ts';
import { asItCame, isGeneration } from '../other-operations.ts';
import { RequestDraft } from '../request-draft.ts';
import { inOrder, nameAsAsked } from '../reply-mend.ts';
import type { ReplyMender } from '../reply-mend.ts';
import { nameSchema, schemaFormat } from '../response-format.ts';
import { completeToolCalls } from '../tool-call-mend.ts';
import { writtenCalls } from '../written-calls.ts';
import { dropUnsupported, leaveOutInternal, nameMaxTokens } from '../unsupported.ts';
import { internal, parameters, unsupported } from './parameters.ts';
import { toServedName } from './served-name.ts';

const paths: EnginePaths = { ...openaiPath, tokenize: '/v1/tokenize', detokenize: '/v1/detokenize' };

/**
 * Checked against SGLang 0.5.17 and 0.5.23. It answers any model name from the base model and repeats the name it was sent, so that a
 * request must carry the served name; replies carry it too.
 */
export const dialect: Dialect = {
  paths,
  parameters,
  toEngine,
  mend,
  goOn: goOnWith(unfinishedTurn),
  // Versions from mid-2026 generate on to the token limit after a client has left (their issues 36333 and 36552).
  abort: (request, attemptId) =>
    isGeneration(request) ? { path: '/abort_request', body: Buffer.from(JSON.stringify({ rid: ridOf(request, attemptId) })) } : undefined,
  readError: (status, body) => mendFastapiError(status, readErrorReply(status, body)),
};

/** The request's name in the engine, which is also the `id` of its replies. Of several choices each one's name has a number behind it. */
function ridOf(request: NormalizedRequest, attemptId: string): string {
  return `${request.operation === 'chat' ? 'chatcmpl' : 'cmpl'}-${attemptId}`;
}

function mend(request: NormalizedRequest): ReplyMender {
  const model = nameAsAsked(request, toServedName(request.model));
  if (request.operation !== 'chat') return inOrder(model);
  return inOrder([...model, ...(mustCall(request) ? [writtenCalls(/^\s*\[/u)] : []), completeToolCalls]);
}

/** Then SGLang lets the model write a list of calls and nothing else, which stays the text of the reply where no `--tool-call-parser` is given. */
function mustCall(request: NormalizedRequest): boolean {
  if (!request.members.has('tool_choice')) return false;
  const choice = request.value('tool_choice');
  return choice === 'required' || (isMapping(choice) && choice['type'] === 'function');
}

function toEngine(request: NormalizedRequest, attemptId: string, adapter?: string): EngineRequest {
  const base = toServedName(request.model);
  const served = adapter === undefined ? base : `${base}:${adapter}`;
  if (!isGeneration(request)) return asItCame(request, { served, internal, paths });
  const draft = new RequestDraft(request);
  if (request.requestedModel !== served) draft.set('model', served);
  nameSchema(draft);
  constrain(draft);
  nameMaxTokens(draft);
  nameReasoning(draft, 'reasoning_content');
  wrapImageUrls(draft);
  dropUnsupported(draft, unsupported, 'SGLang');
  leaveOutInternal(draft, internal);
  draft.set('rid', ridOf(request, attemptId));
  return draft.toRequest();
}

/** Its own words differ by route: completions take a schema as text in `json_schema`. */
function constrain(draft: RequestDraft): void {
  const chat = draft.request.operation === 'chat';
  const constraint = takeConstraint(draft, chat ? ['regex', 'ebnf'] : ['regex', 'ebnf', 'json_schema']);
  if (constraint === undefined) return;
  switch (constraint.kind) {
    case 'schema':
    case 'object': {
      const schema = constraint.kind === 'schema' ? constraint.schema : { type: 'object' };
      if (chat) draft.set('response_format', schemaFormat(schema));
      else draft.set('json_schema', JSON.stringify(schema));
      return;
    }
    case 'regex':
      draft.set('regex', constraint.regex);
      return;
    case 'choice':
      draft.set('regex', `(${constraint.choices.map(literally).join('|')})`);
      return;
    case 'grammar':
      draft.set('ebnf', constraint.grammar);
      return;
  }
}

/** A text as the regular expression that only it matches. */
function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`);
}
