import type { z } from 'zod';
import { isMapping } from '../core/json.ts';
import type { OptionProblem } from './engine-plugin.ts';

/** What became of an option that an engine once had. */
export interface Outdated {
  /** What is said to the user, after the option's name. */
  readonly note: string;
  /** The options that say the same today (none: it is left out); undefined where this value has no counterpart. */
  readonly replace: (value: unknown) => Readonly<Record<string, unknown>> | undefined;
}

/** How an engine's options are read. All names in snake_case. */
export interface OptionRules {
  /** The engine's name in messages. */
  readonly engine: string;
  /** Other names → the one used here. */
  readonly otherNames: ReadonlyMap<string, string>;
  /** Why the gateway decides this option itself; undefined where the user may. */
  readonly owned: (name: string) => string | undefined;
  /** What other engines call an option → what to say. */
  readonly foreign: ReadonlyMap<string, string>;
  readonly outdated: ReadonlyMap<string, Outdated>;
  /** Options whose values are checked before the start, each with a description of what is expected; the engine judges all others. */
  readonly known: ReadonlyMap<string, z.ZodType>;
}

export interface ReadKwargs {
  /** Name → value, in the order of the config. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Name → how the config writes it, where it does. */
  readonly writtenAs: ReadonlyMap<string, string>;
  readonly notes: readonly OptionProblem[];
  readonly problems: readonly OptionProblem[];
}

const namePattern = /^[a-z0-9][a-z0-9_-]*$/iu;

/** Reads `engine_kwargs` by the rules of one engine; an option set to null counts as not given. */
export function readKwargs(raw: Readonly<Record<string, unknown>>, rules: OptionRules): ReadKwargs {
  const values = new Map<string, unknown>();
  const writtenAs = new Map<string, string>();
  const notes: OptionProblem[] = [];
  const problems: OptionProblem[] = [];
  const replaced: Record<string, unknown>[] = [];
  for (const [written, value] of Object.entries(raw)) {
    const plain = written.replaceAll('-', '_');
    const name = rules.otherNames.get(plain) ?? plain;
    const outdated = rules.outdated.get(name);
    if (outdated !== undefined && value !== null && value !== undefined) {
      const options = outdated.replace(value);
      if (options === undefined) problems.push({ path: [written], message: `got ${show(value)}: ${outdated.note}` });
      else {
        replaced.push(options);
        notes.push({ path: [written], message: outdated.note });
      }
      continue;
    }
    const problem = writtenAs.has(name) ? `the option ${name} is given twice` : problemOf(written, name, value, rules);
    if (problem !== undefined) problems.push({ path: [written], message: problem });
    if (value === null || value === undefined) continue;
    values.set(name, value);
    writtenAs.set(name, written);
  }
  for (const [name, value] of replaced.flatMap((options) => Object.entries(options))) {
    const present = values.get(name);
    // What the config says in today's words stands above what it says in old ones.
    values.set(name, isMapping(present) && isMapping(value) ? { ...value, ...present } : (present ?? value));
  }
  return { values, writtenAs, notes, problems };
}

function problemOf(written: string, name: string, value: unknown, rules: OptionRules): string | undefined {
  if (!namePattern.test(written)) return `${JSON.stringify(written)} is no option name, expected letters, digits, _ and -`;
  const owned = rules.owned(name.replace(/^no_/u, '')) ?? rules.owned(name);
  if (owned !== undefined) return `cannot be set: ${owned}`;
  const foreign = rules.foreign.get(name);
  if (foreign !== undefined) return `no option of ${rules.engine}: ${foreign}`;
  if (value === null || value === undefined) return undefined;
  const schema = rules.known.get(name);
  if (schema !== undefined && !schema.safeParse(value).success) return `got ${show(value)}, expected ${schema.description}`;
  return isWritable(value) ? undefined : `got ${show(value)}, expected a finite number, a string, true, false, a list or a mapping`;
}

function show(value: unknown): string {
  // JSON has no word for Infinity and NaN.
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
}

function isWritable(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((element) => isWritable(element) && !Array.isArray(element));
  if (typeof value === 'number') return Number.isFinite(value);
  // A zero byte ends an argument early.
  if (typeof value === 'string') return !value.includes('\0');
  return typeof value === 'boolean' || isMapping(value);
}

/** The whole number given for an option that `known` checks, or the default. */
export function numberOf(values: ReadonlyMap<string, unknown>, name: string, byDefault: number): number {
  const value = values.get(name);
  return typeof value === 'number' ? value : byDefault;
}
