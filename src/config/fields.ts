import { z } from 'zod';

/**
 * The kinds of value a config file has. Each carries one phrase, `expected …`, as the message of whatever is wrong with it (kind,
 * range or form); the loader adds what it got instead.
 */

/** Longest time a timer can be asked to wait for: a little under Node's limit of 2³¹ − 1 ms. */
const maxSeconds = 2_000_000;

/** Text that is not empty. */
export function text(expected: string): z.ZodString {
  return z.string({ error: `expected ${expected}` }).min(1, { error: `expected ${expected}` });
}

/** Text of a form. */
export function textLike(form: RegExp, expected: string): z.ZodString {
  return z.string({ error: `expected ${expected}` }).regex(form, { error: `expected ${expected}` });
}

/** A whole number, both ends included. `or` names what else may stand there. */
export function whole(min: number, max: number, or = ''): z.ZodNumber {
  const range = max === Number.MAX_SAFE_INTEGER ? `, at least ${min}` : ` from ${min} to ${max}`;
  const error = `expected a whole number${range}${or}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

/** A time in seconds, fractions allowed. */
export function seconds(min: number): z.ZodNumber {
  const error = `expected a number of seconds from ${min} to ${maxSeconds}`;
  return z.number({ error }).min(min, { error }).max(maxSeconds, { error });
}

/** One of a few words. */
export function choice<const T extends readonly [string, ...string[]]>(words: T): z.ZodEnum<{ [Word in T[number]]: Word }> {
  return z.enum(words, { error: `expected one of ${words.join(', ')}` });
}

/** Keys that a message names. */
const mostNamed = 6;

function mappingOf(keys: readonly string[]): string {
  return `a mapping with ${keys.slice(0, mostNamed).join(', ')}${keys.length > mostNamed ? ', …' : ''}`;
}

/** A mapping with these keys and no others. */
export function mapping<S extends z.core.$ZodLooseShape>(
  shape: S,
  expected = mappingOf(Object.keys(shape)),
): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, { error: `expected ${expected}` });
}

/** A mapping of which only these keys are looked at. */
export function openMapping<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$loose> {
  return z.looseObject(shape, { error: 'expected a mapping' });
}

export function list<T extends z.ZodType>(item: T, expected: string): z.ZodArray<T> {
  return z.array(item, { error: `expected ${expected}` }).min(1, { error: `expected ${expected}` });
}

/** Any keys, values of one kind. */
export function dictionary<T extends z.ZodType>(value: T): z.ZodRecord<z.ZodString, T> {
  return z.record(z.string(), value, { error: 'expected a mapping' });
}

/** What is said about a known key: that it has no effect (a warning), or may not stand here (a problem). */
export interface KeyNote {
  readonly kind: 'inert' | 'refused';
  readonly message: string;
}

/** Notes of `inert`, `later` and `refused` fields, for the loader. */
export const keyNotes = z.registry<KeyNote>();

/** A key that is accepted, whatever its value, and reported to have no effect because it has no meaning here. */
export function inert(reason: string): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .optional()
    .register(keyNotes, { kind: 'inert', message: `accepted, no effect here: ${reason}` });
}

/** A key that is accepted, whatever its value, and reported to have no effect before a later version. */
export function later(what: string): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .optional()
    .register(keyNotes, { kind: 'inert', message: `accepted, no effect yet: ${what} not in this version` });
}

/** A key that is known, and not accepted for this reason. */
export function refused(reason: string): z.ZodOptional<z.ZodUnknown> {
  return z.unknown().optional().register(keyNotes, { kind: 'refused', message: reason });
}
