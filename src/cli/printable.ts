/** Control characters but tab and newline (C0, DEL, C1), and those that turn the direction of text around. */
const unprintable = /(?![\t\n])\p{Cc}|[\u202A-\u202E\u2066-\u2069]/gu;

/**
 * Text that others wrote - a model, an engine - as it may go to a terminal: without what moves the cursor, sets a title or a clipboard,
 * overwrites a line, or shows words in another order. Works on any piece of a text: no sequence survives by being split.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, '');
}
