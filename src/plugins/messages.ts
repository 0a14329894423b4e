import { isMapping, type Mapping } from '../core/json.ts';
import type { RequestDraft } from './request-draft.ts';

/** Rewrites the messages that `change` changes; it gives back the same object for the others. */
function editMessages(draft: RequestDraft, change: (message: Mapping) => Mapping): void {
  const messages = draft.get('messages');
  if (!Array.isArray(messages)) return;
  const edited = messages.map((message: unknown) => (isMapping(message) ? change(message) : message));
  if (edited.some((message, at) => message !== messages[at])) draft.set('messages', edited);
}

/** The reasoning in earlier turns under the name that the engine reads: clients send back whichever name they were given. */
export function nameReasoning(draft: RequestDraft, name: 'reasoning' | 'reasoning_content'): void {
  const other = name === 'reasoning' ? 'reasoning_content' : 'reasoning';
  if (!draft.mentions('messages', `"${other}"`)) return;
  editMessages(draft, (message) => {
    if (typeof message[other] !== 'string') return message;
    const { [other]: said, ...rest } = message;
    return { [name]: said, ...rest };
  });
}

/** OpenAI's `{"image_url": {"url": …}}` from the bare string that some clients send and not every engine takes. */
export function wrapImageUrls(draft: RequestDraft): void {
  if (!draft.mentions('messages', '"image_url"')) return;
  editMessages(draft, (message) => {
    const { content } = message;
    if (!Array.isArray(content)) return message;
    const parts = content.map((part: unknown) =>
      isMapping(part) && typeof part['image_url'] === 'string' ? { ...part, image_url: { url: part['image_url'] } } : part,
    );
    return parts.some((part, at) => part !== content[at]) ? { ...message, content: parts } : message;
  });
}
