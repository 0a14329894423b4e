/** The end marker of OpenAI's streams. */
export const doneEvent = 'data: [DONE]\n\n';

/** An event of a JSON text. */
export function eventOf(json: string): string {
  return `data: ${json}\n\n`;
}

/** The events of a text, each with its blank line; what stands behind the last blank line comes last. Line ends may be LF or CRLF. */
export function splitEvents(text: string): string[] {
  return text.split(/(?<=\r?\n\r?\n)/u);
}

/** What an event's `data` lines say, without their line ends between; undefined for one that has none: a comment. */
export function dataOf(event: string): string | undefined {
  const lines = event.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5).replace(/^ /, '')] : []));
  return lines.length === 0 ? undefined : lines.join('\n');
}
