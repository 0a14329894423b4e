import type { RequestDraft } from './request-draft.ts';

/** Drops those of `names` that ask for something. A value that asks for nothing (null, false, empty, best_of 1) is left out silently. */
export function dropUnsupported(draft: RequestDraft, names: readonly string[], engine: string): void {
  for (const name of names) {
    if (!draft.request.members.has(name)) continue;
    if (asksForNothing(name, draft.get(name))) draft.leaveOut(name);
    else draft.drop(name, `${engine} cannot do this`);
  }
}

/** Leaves out, and tells nobody: fields that steer an engine's inner parts, other engines' caches or other requests are not a client's business. */
export function leaveOutInternal(draft: RequestDraft, names: readonly string[]): void {
  for (const name of names) draft.leaveOut(name);
}

function asksForNothing(name: string, value: unknown): boolean {
  if (value === null || value === false || value === '') return true;
  if (name === 'best_of' && value === 1) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Parameters of OpenAI's API that no engine here knows. */
export const unknownToAll: readonly string[] = ['functions', 'function_call', 'web_search_options', 'audio', 'best_of'];

/** OpenAI's completions take only `max_tokens`; clients of chat models send the newer name there too, and engines ignore it. */
export function nameMaxTokens(draft: RequestDraft): void {
  if (draft.request.operation !== 'completions' || !draft.has('max_completion_tokens')) return;
  const limit = draft.get('max_completion_tokens');
  draft.leaveOut('max_completion_tokens');
  if (limit !== null) draft.set('max_tokens', limit);
}
