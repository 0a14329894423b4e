import { z } from 'zod';
import { readSettings } from './settings.ts';
import type { Settings } from './settings.ts';

/** `engine_kwargs` of the fake engine: only what was given; the engine process fills in the rest. */
export const options = z.record(z.string(), z.unknown()).transform((raw, context): Partial<Settings> => {
  const read = readSettings(raw);
  if (read.kind === 'valid') return read.given;
  for (const problem of read.problems) context.addIssue({ code: 'custom', path: [problem.name], message: problem.message });
  return z.NEVER;
});
