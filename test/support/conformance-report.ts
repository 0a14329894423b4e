import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConformanceReport } from '../../src/cli/conformance.ts';

/** One file for each engine that `gateway conformance` was run on; the table in docs/engines.md is made from them. */
export const reportsFolder = fileURLToPath(new URL('../../docs/conformance/', import.meta.url));

/** What is kept of a run. */
export interface KeptReport {
  /** As people write it, with what it ran on. */
  readonly engine: string;
  readonly version: string;
  /** What this run had and the engine's main one had not: `with a projector`. Its rows count where the main run had no occasion. */
  readonly setting?: string;
  readonly model: string;
  readonly results: readonly Pick<ConformanceReport['results'][number], 'name' | 'title' | 'kind' | 'detail'>[];
}

/** Keeps a run for the documents, where they are to be renewed (UPDATE_DOCS=1), without what differs from run to run. */
export async function keepReport(file: string, about: Omit<KeptReport, 'results'>, report: ConformanceReport): Promise<void> {
  if (process.env['UPDATE_DOCS'] !== '1') return;
  const results = report.results.map(({ name, title, kind, detail }) => ({ name, title, kind, detail: kind === 'works' ? '' : detail }));
  await mkdir(reportsFolder, { recursive: true });
  await writeFile(join(reportsFolder, file), `${JSON.stringify({ ...about, results }, undefined, 2)}\n`);
}
