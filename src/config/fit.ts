import { z } from 'zod';
import { nearest } from '../core/did-you-mean.ts';
import { isMapping } from '../core/json.ts';
import { keyNotes } from './fields.ts';
import type { ConfigPath } from './problems.ts';
import type { Spot } from './positions.ts';

export interface FitSink {
  problem(path: ConfigPath, message: string, spot?: Spot): void;
  warning(path: ConfigPath, message: string): void;
}

/**
 * The value with only those keys that the schema has something to say about. Left out are unknown and refused keys (problems), known
 * keys without effect (warnings), and keys with nothing after them (`gateway:` with all its lines commented out).
 */
export function fit(schema: z.ZodType, value: unknown, path: ConfigPath, sink: FitSink): unknown {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item: unknown, index) => fit(inner.element as z.ZodType, item, [...path, index], sink));
  }
  if (!isMapping(value)) return value;
  if (inner instanceof z.ZodRecord) {
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [key, fit(inner.valueType as z.ZodType, item, [...path, key], sink)]));
  }
  return inner instanceof z.ZodObject ? fitMapping(inner, value, path, sink) : value;
}

function fitMapping(schema: z.ZodObject, value: Readonly<Record<string, unknown>>, path: ConfigPath, sink: FitSink): unknown {
  const shape = schema.shape as Record<string, z.ZodType>;
  const open = schema.def.catchall instanceof z.ZodUnknown;
  const kept: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const here = [...path, key];
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (field === undefined) {
      if (open) kept[key] = item;
      else sink.problem(here, unknownKey(key, shape), 'key');
      continue;
    }
    const note = keyNotes.get(field);
    if (note?.kind === 'refused') sink.problem(here, note.message, 'key');
    else if (note?.kind === 'inert') sink.warning(here, note.message);
    else if (item !== null || keepsNull(field)) kept[key] = fit(field, item, here, sink);
  }
  return kept;
}

function unknownKey(key: string, shape: Readonly<Record<string, z.ZodType>>): string {
  const known = Object.keys(shape).filter((name) => keyNotes.get(shape[name] as z.ZodType)?.kind !== 'refused');
  const suggestion = nearest(key, known) ?? below(key, shape);
  if (suggestion !== undefined) return `unknown key ${JSON.stringify(key)}; did you mean ${JSON.stringify(suggestion)}?`;
  const useful = known.filter((name) => !keyNotes.has(shape[name] as z.ZodType));
  return `unknown key ${JSON.stringify(key)}; expected one of ${useful.join(', ')}`;
}

/** A key that stands one level too high: where it belongs. */
function below(key: string, shape: Readonly<Record<string, z.ZodType>>): string | undefined {
  for (const [name, field] of Object.entries(shape)) {
    const inner = unwrap(field);
    if (inner instanceof z.ZodObject && Object.hasOwn(inner.shape, key)) return `${name}.${key}`;
  }
  return undefined;
}

/** The schema inside `.optional()`, `.default()` and the like. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return unwrap(schema.unwrap() as z.ZodType);
  return schema;
}

/** Nothing after the key of a list is a mistake: the list was forgotten. */
function keepsNull(schema: z.ZodType): boolean {
  return unwrap(schema) instanceof z.ZodArray || schema.safeParse(null).success;
}
