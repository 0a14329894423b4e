import { writeFile } from 'node:fs/promises';
import type { TestEvent } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { type RowNumber, sections } from './catalogue.ts';
import { renderDocument } from './document.ts';
import { askedOf, type Oracle } from './oracle.ts';
import { testedRows } from './tested-rows.ts';
import { numberOf } from './title.ts';

const document = fileURLToPath(new URL('../../../docs/faults.md', import.meta.url));

interface Seen {
  readonly held: Map<RowNumber, boolean>;
  readonly skipped: Map<RowNumber, string>;
  readonly asked: Map<RowNumber, readonly Oracle[]>;
}

function note(seen: Seen, event: TestEvent & { type: 'test:pass' | 'test:fail' }): string {
  const { name, skip, details } = event.data;
  const number = numberOf(name);
  if (number === undefined || event.data.nesting > 0) return '';
  if (skip !== undefined) {
    seen.skipped.set(number, String(skip));
    return `- ${name} (skipped: ${String(skip)})\n`;
  }
  const held = event.type === 'test:pass';
  seen.held.set(number, held);
  const cause = event.type === 'test:fail' ? `\n${String(event.data.details.error.cause ?? event.data.details.error)}` : '';
  return `${held ? '✔' : '✖'} ${name} (${Math.round(details.duration_ms)} ms)${cause}\n`;
}

/** A row's own word; other diagnostics are left to other reporters. */
function noteAsked(seen: Seen, event: TestEvent & { type: 'test:diagnostic' }): string {
  const found = askedOf(event.data.message);
  if (found === undefined) return '';
  seen.asked.set(found.number, found.asked);
  return `  asked: ${found.asked.join(' ')}\n`;
}

/** What keeps a run from being the whole truth. */
function gaps({ held, skipped }: Seen): readonly string[] {
  return sections
    .flatMap(({ rows }) => rows)
    .filter(({ number, fault }) => fault.untested === undefined && !held.has(number))
    .map(({ number }) => `row ${number} ${skipped.has(number) ? `was skipped: ${skipped.get(number)}` : 'was not run'}`);
}

/** Prints each row's result; with `UPDATE_DOCS=1` a run of all rows also writes `docs/faults.md`. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen: Seen = { held: new Map(), skipped: new Map(), asked: new Map() };
  for await (const event of events) {
    if (event.type === 'test:pass' || event.type === 'test:fail') yield note(seen, event);
    else if (event.type === 'test:diagnostic') yield noteAsked(seen, event);
    else if (event.type === 'test:stderr' || event.type === 'test:stdout') yield event.data.message;
  }
  if (process.env['UPDATE_DOCS'] !== '1') return;
  const missing = gaps(seen);
  if (missing.length > 0) {
    yield `docs/faults.md stays as it is: ${missing.join('; ')}\n`;
    return;
  }
  const outcomes = (await testedRows()).map(({ number, file }) => {
    return [number, { file, held: seen.held.get(number) === true, asked: seen.asked.get(number) ?? [] }] as const;
  });
  await writeFile(document, renderDocument(sections, new Map(outcomes)));
  yield 'docs/faults.md is written\n';
}
