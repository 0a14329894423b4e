import { parseJson } from '../core/json.ts';

/** What stands at a path of a parsed JSON value; undefined where there is nothing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here: unknown = value;
  for (const step of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Readonly<Record<string | number, unknown>>)[step];
  }
  return here;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value of a JSON text; undefined where it is none, or no text. */
export function parse(text: unknown): unknown {
  return typeof text === 'string' ? parseJson(text) : undefined;
}

/** A value in one short line, for messages. */
export function short(value: unknown, limit = 120): string {
  const text = (typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))).replaceAll(/\s+/g, ' ').trim();
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
