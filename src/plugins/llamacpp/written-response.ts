import { isMapping, type Mapping } from '../../core/json.ts';
import { splitEvents } from '../../core/server-sent-events.ts';
import { parseObject, type ReplyMender } from '../reply-mend.ts';
import { WrittenCalls } from '../written-calls.ts';

const dataLine = /^data: ?(\{[^\r\n]*\})/mu;

/** Makes a function call of the message of a response, which is one written as JSON. */
export function writtenResponse(): ReplyMender {
  const stream = new CallStream();
  return {
    events: (bytes) => {
      const events = splitEvents(bytes.toString('utf8')).map((text) => {
        const event = parseObject(dataLine.exec(text)?.[1] ?? '');
        const instead = event === undefined ? undefined : stream.instead(event);
        return instead === undefined ? text : instead.map(written).join('');
      });
      return Buffer.from(events.join(''));
    },
    whole: (bytes) => {
      const reply = parseObject(bytes.toString('utf8'));
      return reply === undefined ? bytes : Buffer.from(JSON.stringify(withCalls(reply)));
    },
  };
}

const written = (event: Mapping): string => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`;

/** One message of a stream on its way to being a call. */
class CallStream {
  #call = new WrittenCalls();
  #id = '';
  #name: string | undefined;
  #arguments = '';

  /** What stands in an event's place; undefined: it stays as it is. */
  instead(event: Mapping): readonly Mapping[] | undefined {
    const { type, item, delta, response } = event;
    switch (type) {
      case 'response.output_item.added':
        return this.#begin(item);
      case 'response.content_part.added':
      case 'response.content_part.done':
        return [];
      case 'response.output_text.delta':
        return typeof delta === 'string' ? this.#add(delta) : [];
      case 'response.output_text.done':
        return this.#named({ type: 'response.function_call_arguments.done', item_id: callId(this.#id), arguments: this.#arguments });
      case 'response.output_item.done':
        return isMessage(item) ? this.#named({ type, item: callItem(this.#id, this.#name, this.#arguments, 'completed') }) : undefined;
      default:
        return isMapping(response) && Array.isArray(response['output']) ? [{ ...event, response: withCalls(response) }] : undefined;
    }
  }

  #begin(item: unknown): readonly Mapping[] | undefined {
    if (!isMessage(item)) return undefined;
    this.#call = new WrittenCalls();
    this.#id = String(item['id']);
    this.#name = undefined;
    this.#arguments = '';
    return [];
  }

  #add(text: string): readonly Mapping[] {
    const [added] = this.#call.push(text);
    if (added === undefined) return [];
    this.#arguments += added.arguments;
    const more = { type: 'response.function_call_arguments.delta', item_id: callId(this.#id), delta: added.arguments };
    if (added.name === undefined) return [more];
    this.#name = added.name;
    const begun = { type: 'response.output_item.added', item: callItem(this.#id, added.name, '', 'in_progress') };
    return added.arguments === '' ? [begun] : [begun, more];
  }

  /** Only once it is known what is called: a limit may have cut the message off before. */
  #named(event: Mapping): readonly Mapping[] {
    return this.#name === undefined ? [] : [event];
  }
}

function isMessage(item: unknown): item is Mapping {
  return isMapping(item) && item['type'] === 'message';
}

const callId = (message: string): string => message.replace(/^(?:msg_)?/u, 'fc_');

function callItem(message: string, name: string | undefined, given: string, status: string): Mapping {
  const id = callId(message);
  return { id, type: 'function_call', status, arguments: given, call_id: id.replace(/^fc_/u, 'call_'), name };
}

/** A response, whole, whose messages are calls. */
function withCalls(response: Mapping): Mapping {
  const { output } = response;
  if (!Array.isArray(output)) return response;
  return {
    ...response,
    output: (output as readonly unknown[]).flatMap((item): readonly unknown[] => (isMessage(item) ? callOf(item) : [item])),
  };
}

function callOf({ id, content }: Mapping): readonly Mapping[] {
  const parts = Array.isArray(content) ? content.filter(isMapping) : [];
  const text = parts.map((part) => part['text']).filter((part) => typeof part === 'string');
  const [call] = new WrittenCalls().push(text.join(''));
  return call?.name === undefined ? [] : [callItem(String(id), call.name, call.arguments, 'completed')];
}
