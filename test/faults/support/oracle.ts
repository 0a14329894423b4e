import type { RowNumber } from './catalogue.ts';

/** What is asked after a row, besides what the row says itself; by the letters that the document has for them. */
export const oracles = {
  a: 'no process of an engine is left',
  b: 'nothing is in flight or waiting, and SIGTERM ends the gateway with 0',
  c: 'the gateway’s descriptors are back where they were when it was ready',
  d: 'the fault is brought about until two times in a row leave the same, five times at most: garbage collected, heaps and resident memory are within a tenth of what they were after the time before',
  e: 'the log tells of no defect: no error, no promise that nobody looked after',
  f: 'each request was counted once, with one outcome',
} as const;

export type Oracle = keyof typeof oracles;

const letters = Object.keys(oracles) as readonly Oracle[];

/** Those that are named in `text`, in their order. */
export const lettersOf = (text: string): readonly Oracle[] => letters.filter((letter) => text.includes(letter));

/** What a row's test tells the reporter by a diagnostic: of it and its outcome the runner knows only the test's name. */
export function askedText(number: RowNumber, asked: ReadonlySet<Oracle>): string {
  return `row ${number} asked: ${letters.filter((letter) => asked.has(letter)).join(' ')}`;
}

/** The row and its oracles in a diagnostic; undefined for one that tells something else. */
export function askedOf(diagnostic: string): { readonly number: RowNumber; readonly asked: readonly Oracle[] } | undefined {
  const [, number, asked] = /^row (\d+) asked: ([a-f ]*)$/.exec(diagnostic) ?? [];
  if (number === undefined || asked === undefined) return undefined;
  return { number: Number(number) as RowNumber, asked: lettersOf(asked) };
}
