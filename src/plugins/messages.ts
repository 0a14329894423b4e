import { GatewayError } from '../core/errors.ts';
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

/**
 * For an engine that has no list of hosts it may fetch media from, or reads local files: a client could make it fetch anything.
 * @throws GatewayError `request_invalid`
 */
export function refuseRemoteMedia(draft: RequestDraft): void {
  for (const name of ['messages', 'input']) refuseRemoteMediaIn(draft, name);
}

function refuseRemoteMediaIn(draft: RequestDraft, name: string): void {
  if (!draft.mentions(name, 'url"')) return;
  const messages = draft.get(name);
  for (const [index, message] of Array.isArray(messages) ? messages.entries() : []) {
    const content: unknown = isMapping(message) ? message['content'] : undefined;
    const url = Array.isArray(content)
      ? content.flatMap((part: unknown) => mediaUrls(part)).find((given) => !/^data:/iu.test(given))
      : undefined;
    if (url === undefined) continue;
    const param = `${name}.${index}.content`;
    const shown = JSON.stringify(url.slice(0, 200));
    throw new GatewayError('request_invalid', `${param}: ${shown} would have to be fetched by the engine; expected a data: URL`, { param });
  }
}

function mediaUrls(part: unknown): readonly string[] {
  if (!isMapping(part)) return [];
  return Object.entries(part).flatMap(([name, value]) => {
    // Anthropic's word for where a part comes from.
    if (!name.endsWith('_url') && name !== 'source') return [];
    const url = isMapping(value) ? value['url'] : value;
    return typeof url === 'string' ? [url] : [];
  });
}
