import { GatewayError } from '../../core/errors.ts';
import { isMapping } from '../../core/json.ts';
import type { NormalizedRequest } from '../../core/request.ts';
import type { Capabilities } from '../../core/table.ts';
import { takeConstraint } from '../constraint.ts';
import type { EngineRequest } from '../engine-plugin.ts';
import { nameReasoning, wrapImageUrls } from '../messages.ts';
import { type EnginePaths, openaiPath } from '../openai-path.ts';
import { asItCame, isGeneration } from '../other-operations.ts';
import { RequestDraft } from '../request-draft.ts';
import { nameSchema } from '../response-format.ts';
import { dropUnsupported, leaveOutInternal, nameMaxTokens } from '../unsupported.ts';
import { internal, unsupported } from './parameters.ts';
import { keepToolChoice } from './tool-choice.ts';

/** Llama-server 0.7.0 has no scores of pairs. */
const { score: _, ...served } = openaiPath;
export const paths: EnginePaths = served;

/**
 * llama-server 0.7.0 answers any model name with its only model, so that the name stays as the client wrote it. An adapter is named by its
 * place on the command line; those a request does not name have scale 0 in it, and all have in one that names none (`command.ts`).
 */
export function toEngine(request: NormalizedRequest, _attemptId: string, adapter?: string, can: Capabilities = {}): EngineRequest {
  if (!isGeneration(request)) {
    const passed = asItCame(request, { served: request.requestedModel, internal, paths }, (draft) => {
      tokensInItsWords(draft);
      keepToolChoice(draft, can);
      constrainResponse(draft);
      if (request.operation === 'embeddings') dropUnsupported(draft, ['dimensions'], 'llama-server');
      if (adapter !== undefined) draft.set('lora', [{ id: Number(adapter), scale: 1 }]);
    });
    return { ...passed, lastOnConnection: request.stream };
  }
  const draft = new RequestDraft(request);
  nameSchema(draft);
  constrain(draft);
  keepToolChoice(draft, can);
  nameMaxTokens(draft);
  namePenalty(draft);
  nameReasoning(draft, 'reasoning_content');
  wrapImageUrls(draft);
  dropUnsupported(draft, unsupported, 'llama-server');
  leaveOutInternal(draft, internal);
  if (adapter !== undefined) draft.set('lora', [{ id: Number(adapter), scale: 1 }]);
  return { ...draft.toRequest(), lastOnConnection: request.stream };
}

/** It ignores `text.format` of the Responses API, and obeys its own `json_schema` there. */
function constrainResponse(draft: RequestDraft): void {
  if (draft.request.operation !== 'responses' || !draft.has('text') || draft.has('json_schema') || draft.has('grammar')) return;
  const text = draft.get('text');
  const format = isMapping(text) ? text['format'] : undefined;
  if (!isMapping(format)) return;
  if (format['type'] === 'json_object') draft.set('json_schema', { type: 'object' });
  if (format['type'] === 'json_schema' && isMapping(format['schema'])) draft.set('json_schema', format['schema']);
}

/** It says `content` for what is tokenized, and knows no conversations there. */
function tokensInItsWords(draft: RequestDraft): void {
  if (draft.request.operation !== 'tokenize') return;
  if (draft.has('messages')) {
    const message = "'messages': llama-server tokenizes texts only; expected 'prompt'";
    throw new GatewayError('param_unsupported', message, { param: 'messages' });
  }
  if (draft.has('content')) return;
  draft.set('content', draft.get('prompt'));
  draft.leaveOut('prompt');
}

function constrain(draft: RequestDraft): void {
  const constraint = takeConstraint(draft, ['json_schema', 'grammar']);
  if (constraint === undefined) return;
  switch (constraint.kind) {
    case 'schema':
      draft.set('json_schema', constraint.schema);
      return;
    case 'object':
      draft.set('json_schema', { type: 'object' });
      return;
    case 'regex':
      draft.drop(constraint.param, 'llama-server knows grammars and JSON schemas, not regular expressions');
      return;
    case 'choice':
      draft.set('grammar', `root ::= ${constraint.choices.map(terminal).join(' | ')}`);
      return;
    case 'grammar':
      draft.set('grammar', constraint.grammar);
      return;
  }
}

/** A text as a terminal of GBNF, which knows fewer escapes than JSON. */
function terminal(text: string): string {
  return JSON.stringify(text)
    .replaceAll(String.raw`\b`, String.raw`\x08`)
    .replaceAll(String.raw`\f`, String.raw`\x0C`);
}

/** The other engines' `repetition_penalty` looks at the whole context, llama-server's own only at the last 64 tokens. */
function namePenalty(draft: RequestDraft): void {
  if (!draft.has('repetition_penalty')) return;
  const penalty = draft.get('repetition_penalty');
  draft.leaveOut('repetition_penalty');
  if (penalty === null || draft.has('repeat_penalty')) return;
  draft.set('repeat_penalty', penalty);
  if (!draft.has('repeat_last_n')) draft.set('repeat_last_n', -1);
}
