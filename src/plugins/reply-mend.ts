import { isMapping, parseJson, type Mapping } from '../core/json.ts';
import type { NormalizedRequest } from '../core/request.ts';
import { eventOf, splitEvents } from '../core/server-sent-events.ts';

/**
 * Mends what an engine gets wrong in the replies (below 400) to one request; state is per attempt. Both give back the very same object where
 * the bytes are right as they are, which a cheap search must decide: they run for every piece of every reply.
 */
export interface ReplyMender {
  /** @param bytes one or more complete server-sent events. */
  events(bytes: Buffer): Buffer;
  /** @param bytes a whole JSON reply. */
  whole(bytes: Buffer): Buffer;
}

/** All of them, in order. A reply that is not streamed is held until it is whole, even where there are none. */
export function inOrder(menders: readonly ReplyMender[]): ReplyMender {
  return {
    events: (bytes) => menders.reduce((mended, mender) => mender.events(mended), bytes),
    whole: (bytes) => menders.reduce((mended, mender) => mender.whole(mended), bytes),
  };
}

/** The same for events and whole replies. */
function everywhere(mend: (bytes: Buffer) => Buffer): ReplyMender {
  return { events: mend, whole: mend };
}

const backslash = 0x5c;
const quote = 0x22;

/** The places where `mark`, which begins with a quote, stands in JSON outside of strings: inside one the quote has a backslash before it. */
function placesOf(bytes: Buffer, mark: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) {
    if (bytes[at - 1] !== backslash) places.push(at);
  }
  return places;
}

/** Writes `by` where `mark` stands. */
export function replaceMark(mark: string, by: string): ReplyMender {
  return everywhere((bytes) => {
    const places = placesOf(bytes, mark);
    if (places.length === 0) return bytes;
    const pieces: Buffer[] = [];
    let from = 0;
    for (const at of places) {
      pieces.push(bytes.subarray(from, at), Buffer.from(by));
      from = at + mark.length;
    }
    return Buffer.concat([...pieces, bytes.subarray(from)]);
  });
}

/** Gives the model the name that the client asked for, where the engine's replies carry another (`served`): as a list, for `inOrder`. */
export function nameAsAsked({ requestedModel }: Pick<NormalizedRequest, 'requestedModel'>, served: string): readonly ReplyMender[] {
  return requestedModel === served ? [] : [nameModel(requestedModel)];
}

function nameModel(requested: string): ReplyMender {
  const value = Buffer.from(JSON.stringify(requested));
  return everywhere((bytes) => {
    const pieces: Buffer[] = [];
    let from = 0;
    for (const at of placesOf(bytes, '"model":')) {
      const start = bytes.indexOf(quote, at + '"model":'.length);
      const end = start === -1 ? -1 : closingQuote(bytes, start + 1);
      if (end === -1 || bytes.toString('latin1', at + '"model":'.length, start).trim() !== '') continue;
      pieces.push(bytes.subarray(from, start), value);
      from = end + 1;
    }
    return pieces.length === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(from)]);
  });
}

function closingQuote(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === backslash) at += 1;
    else if (bytes[at] === quote) return at;
  }
  return -1;
}

/**
 * Rewrites single events: for each one, what stands in its place (none: it goes as it came). Events that are no JSON object go as they came.
 * @param bytes complete events.
 */
export function editEvents(bytes: Buffer, edit: (event: Mapping) => readonly Mapping[] | undefined): Buffer {
  let changed = false;
  const edited = splitEvents(bytes.toString('utf8')).map((text) => {
    const event = /^data: ?(\{[^\r\n]*\})\s*$/u.exec(text)?.[1];
    const parsed = event === undefined ? undefined : parseObject(event);
    const instead = parsed === undefined ? undefined : edit(parsed);
    if (instead === undefined) return text;
    changed = true;
    return instead.map((data) => eventOf(JSON.stringify(data))).join('');
  });
  return changed ? Buffer.from(edited.join('')) : bytes;
}

/**
 * Rewrites single choices, of events and of whole replies; those that `edit` gives back as they were stay so, and so do the bytes where all do.
 * @param edit `key`: where a choice has what was said; `reply`: the event or reply that it is in; `at`: its place there
 * @param looksLike a cheap look at the bytes of events (`delta`) or of a whole reply; where it says no nothing is parsed
 */
export function editChoices(
  edit: (choice: Mapping, key: 'delta' | 'message', reply: Mapping, at: number) => Mapping,
  looksLike: (bytes: Buffer, key: 'delta' | 'message') => boolean = () => true,
): ReplyMender {
  const edited = (reply: Mapping, key: 'delta' | 'message'): Mapping | undefined => {
    const { choices } = reply;
    if (!Array.isArray(choices)) return undefined;
    const instead = choices.map((choice: unknown, at) => (isMapping(choice) ? edit(choice, key, reply, at) : choice));
    return instead.some((choice, at) => choice !== choices[at]) ? { ...reply, choices: instead } : undefined;
  };
  return {
    events(bytes) {
      if (!looksLike(bytes, 'delta')) return bytes;
      return editEvents(bytes, (event) => {
        const instead = edited(event, 'delta');
        return instead === undefined ? undefined : [instead];
      });
    },
    whole(bytes) {
      const reply = looksLike(bytes, 'message') ? parseObject(bytes.toString('utf8')) : undefined;
      const instead = reply === undefined ? undefined : edited(reply, 'message');
      return instead === undefined ? bytes : Buffer.from(JSON.stringify(instead));
    },
  };
}

/** The object of a JSON text; undefined where it is none: an engine's own invention, or a reply cut short, which cannot be mended. */
export function parseObject(text: string): Mapping | undefined {
  const parsed = parseJson(text);
  return isMapping(parsed) ? parsed : undefined;
}
