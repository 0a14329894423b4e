import type { RowNumber, Section } from './catalogue.ts';

export interface Outcome {
  /** Path of the test file, from the repository's root. */
  readonly file: string;
  readonly held: boolean;
}

function line(number: RowNumber, { happens, holds, untested }: Section['rows'][number]['fault'], outcome: Outcome | undefined): string {
  if (outcome === undefined) return `| ${number} | ${happens} | ${holds} | – | not run: ${untested ?? 'it has no test'} |`;
  return `| ${number} | ${happens} | ${holds} | \`${outcome.file}\` | ${outcome.held ? 'holds' : '**does not hold**'} |`;
}

/** `docs/faults.md` for a run with these outcomes. Deterministic. */
export function renderDocument(sections: readonly Section[], outcomes: ReadonlyMap<RowNumber, Outcome>): string {
  return [
    '# What holds when things break',
    '',
    'Each row is a test against real processes: the gateway’s command, with engines that die, hang or lie on cue. This table is written by the run of',
    'those tests. After each, besides what its row says: nothing is in flight or waiting, the gateway’s descriptors are back where they were, each',
    'request was counted once, with one outcome, SIGTERM ends the gateway with 0, no process of an engine is left, and the log tells of no defect.',
    'Of a gateway that ended in its row only the last two can be asked. Where a row holds much for a while (26, 67, 70, 77, 86), it is done twice: after',
    'the second time, garbage collected, heaps and resident memory are within a tenth of what they were after the first.',
    '',
    '```sh',
    'UPDATE_DOCS=1 node --test --test-reporter=./test/faults/support/reporter.ts "test/faults/*.test.ts"   # as root: namespaces and mounts',
    '```',
    ...sections.flatMap(({ title, rows }) => [
      '',
      `## ${title}`,
      '',
      '| row | what happens | what holds | test | result |',
      '| --- | --- | --- | --- | --- |',
      ...rows.map(({ number, fault }) => line(number, fault, outcomes.get(number))),
    ]),
    '',
  ].join('\n');
}
