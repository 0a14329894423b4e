import { isMapping, type Mapping } from '../../core/json.ts';
import type { NormalizedRequest } from '../../core/request.ts';
import { splitEvents } from '../../core/server-sent-events.ts';
import { parseObject, type ReplyMender } from '../reply-mend.ts';

const dataLine = /^data: ?(\{[^\r\n]*\})/mu;

/** Events about one part of an item's content; what they say of it is `content_index`. */
const ofContent = /^response\.(?:content_part|output_text|refusal|reasoning_text)\./u;

/**
 * What llama-server 0.7.0 leaves out of the events of a Responses stream, and clients put it together by: the number of the event, the places
 * of the item and of the part of its content that it is about, and in the first snapshots the list of items.
 */
export function placedEvents(request: Pick<NormalizedRequest, 'requestedModel'>): ReplyMender {
  const places = new Places();
  let number = 0;
  return {
    whole: (bytes) => bytes,
    events: (bytes) => {
      if (bytes.includes('"sequence_number":')) return bytes;
      const events = splitEvents(bytes.toString('utf8')).map((text) => {
        const event = parseObject(dataLine.exec(text)?.[1] ?? '');
        if (event === undefined) return text;
        const { type, ...rest } = event;
        const placed = { type, sequence_number: number++, ...places.of(event), ...rest, ...withOutput(rest['response'], request) };
        return text.replace(dataLine, () => `data: ${JSON.stringify(placed)}`);
      });
      return Buffer.from(events.join(''));
    },
  };
}

/** Of the snapshot that `response.created` and `response.in_progress` carry. */
function withOutput(response: unknown, { requestedModel }: Pick<NormalizedRequest, 'requestedModel'>): Mapping {
  if (!isMapping(response) || 'output' in response) return {};
  return { response: { model: requestedModel, output: [], ...response } };
}

/** Where items stand in the output, and parts in their content: in the order in which they were added. */
class Places {
  readonly #items = new Map<unknown, { readonly index: number; parts: number }>();

  of(event: Mapping): Mapping {
    const { type, item, item_id: itemId } = event;
    if (typeof type !== 'string') return {};
    if (isMapping(item)) return { output_index: this.#itemOf(item['id'] ?? item['call_id']).index };
    if (itemId === undefined) return {};
    const place = this.#itemOf(itemId);
    if (type === 'response.content_part.added') place.parts += 1;
    return { output_index: place.index, ...(ofContent.test(type) ? { content_index: Math.max(0, place.parts - 1) } : {}) };
  }

  #itemOf(id: unknown): { readonly index: number; parts: number } {
    const known = this.#items.get(id) ?? { index: this.#items.size, parts: 0 };
    this.#items.set(id, known);
    return known;
  }
}
