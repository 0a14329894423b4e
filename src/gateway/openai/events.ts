import { parseJson } from '../../core/json.ts';

/** One server-sent event: its text with the blank line, and what its `data` says as JSON (undefined: no data, `[DONE]`, or no JSON). */
export interface ServerSentEvent {
  readonly text: string;
  readonly data: unknown;
}

/** The end marker of OpenAI's streams. */
export const done = 'data: [DONE]\n\n';

export function eventText(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** The events of `bytes`, which ends where an event ends. Line ends may be LF or CRLF. */
export function eventsIn(bytes: Buffer): ServerSentEvent[] {
  const events = bytes.toString('utf8').match(/[\s\S]*?(?:\r?\n){2,}/g) ?? [];
  return events.map((text) => ({ text, data: dataOf(text) }));
}

function dataOf(event: string): unknown {
  const data = event
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith('data:') ? [line.slice(line.startsWith('data: ') ? 6 : 5)] : []))
    .join('\n');
  // What is no JSON is not ours to judge: it is passed on as it is.
  return data.startsWith('{') ? parseJson(data) : undefined;
}
