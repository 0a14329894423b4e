import type { z } from 'zod';
import { isMapping } from '../core/json.ts';
import { numberOrBoolean } from './interpolate.ts';
import { describe, formatPath, type ConfigPath } from './problems.ts';

type Issue = z.core.$ZodIssue;
type Report = (path: ConfigPath, message: string) => void;

/**
 * Tells every mistake of `value` against `schema`. Where an environment variable was filled in and the schema does not take the text,
 * but it spells a number or boolean, that is put in its place. Returns the value with these put in; it may still be invalid.
 */
export function validate(schema: z.ZodType, value: unknown, interpolated: ReadonlySet<string>, report: Report): unknown {
  const first = schema.safeParse(value);
  if (first.success) return value;
  const typed = structuredClone(value);
  for (const { path } of first.error.issues) {
    if (interpolated.has(formatPath(plain(path)))) replaceText(typed, plain(path));
  }
  const second = schema.safeParse(typed);
  for (const issue of second.error?.issues ?? []) {
    const path = plain(issue.path);
    report(path, message(issue, valueAt(typed, path), isSecret(path)));
  }
  return typed;
}

/** What of `value` the schema takes, so that what is right can be looked at beside what is wrong; undefined if too little is left. */
export function salvage<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> | undefined {
  const first = schema.safeParse(value);
  if (first.success) return first.data;
  const pruned = structuredClone(value);
  for (const { path } of first.error.issues) remove(pruned, plain(path));
  return schema.safeParse(pruned).data;
}

/** Whether the value at a path may be a secret. */
function isSecret(path: ConfigPath): boolean {
  const [last] = path.slice(-1);
  return path.includes('env_vars') || last === 'key' || last === 'api_key' || last === 'sha256';
}

function message(issue: Issue, value: unknown, secret: boolean): string {
  // A value that may be a secret is never shown.
  if (secret) return issue.message;
  return value === undefined ? `missing; ${issue.message}` : `${issue.message}, got ${describe(value)}`;
}

function plain(path: readonly PropertyKey[]): ConfigPath {
  return path.filter((step) => typeof step !== 'symbol');
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>((inner, step) => (isContainer(inner) && Object.hasOwn(inner, step) ? inner[step] : undefined), value);
}

function replaceText(root: unknown, path: ConfigPath): void {
  const parent = valueAt(root, path.slice(0, -1));
  const step = path.at(-1);
  if (step === undefined || !isContainer(parent)) return;
  const text = parent[step];
  const typed = typeof text === 'string' ? numberOrBoolean(text) : undefined;
  if (typed !== undefined) parent[step] = typed;
}

/** Removes the key at `path`; for an item of a list, the key that holds the list. */
function remove(root: unknown, path: ConfigPath): void {
  for (let length = path.length; length > 0; length -= 1) {
    const step = path[length - 1];
    const parent = valueAt(root, path.slice(0, length - 1));
    if (typeof step !== 'string' || !isMapping(parent)) continue;
    Reflect.deleteProperty(parent, step);
    return;
  }
}

function isContainer(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}
