import type { RowNumber, Section } from './catalogue.ts';
import { type Oracle, oracles } from './oracle.ts';

export interface Outcome {
  /** Path of the test file, from the repository's root. */
  readonly file: string;
  readonly held: boolean;
  readonly asked: readonly Oracle[];
}

function line(number: RowNumber, { happens, holds, untested }: Section['rows'][number]['fault'], outcome: Outcome | undefined): string {
  if (outcome === undefined) return `| ${number} | ${happens} | ${holds} | – | – | not run: ${untested ?? 'it has no test'} |`;
  const { file, asked, held } = outcome;
  const letters = asked.length === 0 ? '–' : asked.join(' ');
  return `| ${number} | ${happens} | ${holds} | \`${file}\` | ${letters} | ${held ? 'holds' : '**does not hold**'} |`;
}

/** `docs/faults.md` for a run with these outcomes. Deterministic. */
export function renderDocument(sections: readonly Section[], outcomes: ReadonlyMap<RowNumber, Outcome>): string {
  return [
    '# What holds when things break',
    '',
    'Each row is a test against real processes: the gateway’s command, with engines that die, hang or lie on cue. This table is written by the run of',
    'those tests. After a row, besides what it says itself, these are asked of each gateway that it started, and the table names them by their letters:',
    '',
    ...Object.entries(oracles).map(([letter, holds]) => `- **${letter}**: ${holds}.`),
    '',
    'Of a gateway that ended in its row only a and e can be asked, and d only where much is held for a while by a gateway that goes on. A row without',
    'letters starts none, or ends it and looks at what is left itself.',
    '',
    '```sh',
    'UPDATE_DOCS=1 node --test --test-concurrency=2 --test-reporter=./test/faults/support/reporter.ts "test/faults/*.test.ts"   # as root',
    '```',
    '',
    'Root makes the namespaces, mounts and control groups that some rows need; a run that leaves a row out writes nothing.',
    ...sections.flatMap(({ title, rows }) => [
      '',
      `## ${title}`,
      '',
      '| row | what happens | what holds | test | asked | result |',
      '| --- | --- | --- | --- | --- | --- |',
      ...rows.map(({ number, fault }) => line(number, fault, outcomes.get(number))),
    ]),
    '',
  ].join('\n');
}
