import { GatewayError } from '../../core/errors.ts';
import type { JsonKind, Member } from '../../core/request.ts';
import { plainEnd, restart } from './string-scan.ts';

/** Deepest nesting of a request body; engines and JSON.stringify fail far above it. */
export const maxDepth = 64;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;

const escapes: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));

const kindByFirstByte: readonly (JsonKind | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (char === '"') return 'string';
  if (char === '{') return 'object';
  if (char === '[') return 'array';
  if (char === 't' || char === 'f') return 'boolean';
  if (char === 'n') return 'null';
  return /[-0-9]/.test(char) ? 'number' : undefined;
});

function fail(at: number, expected: string): never {
  throw new GatewayError('request_invalid', `The body is not valid JSON: expected ${expected} at byte ${at}.`);
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** `from`: the byte after the opening quote. Returns the place after the closing one. */
function skipString(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    at = plainEnd(bytes, at);
    const byte = bytes[at];
    if (byte === quote) return at + 1;
    if (byte === undefined) fail(at, "a string's closing quote");
    if (byte !== backslash) fail(at, 'no raw control character inside a string');
    at = skipEscape(bytes, at + 1);
  }
}

function skipEscape(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte !== undefined && escapes.has(byte)) return at + 1;
  if (byte !== 0x75) fail(at, 'an escape such as \\n or \\u0041');
  for (let digit = at + 1; digit < at + 5; digit += 1) {
    const hex = bytes[digit] ?? 0;
    if (!isDigit(hex) && !(hex >= 0x41 && hex <= 0x46) && !(hex >= 0x61 && hex <= 0x66)) fail(digit, 'four hexadecimal digits after \\u');
  }
  return at + 5;
}

function skipDigits(bytes: Buffer, from: number): number {
  let at = from;
  while (isDigit(bytes[at])) at += 1;
  if (at === from) fail(at, 'a digit');
  return at;
}

function skipNumber(bytes: Buffer, from: number): number {
  let at = bytes[from] === 0x2d ? from + 1 : from;
  at = bytes[at] === 0x30 ? at + 1 : skipDigits(bytes, at);
  if (bytes[at] === 0x2e) at = skipDigits(bytes, at + 1);
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    const sign = bytes[at + 1];
    at = skipDigits(bytes, sign === 0x2b || sign === 0x2d ? at + 2 : at + 1);
  }
  return at;
}

function skipWord(bytes: Buffer, from: number): number {
  const word = bytes[from] === 0x74 ? 'true' : bytes[from] === 0x66 ? 'false' : 'null';
  for (let index = 0; index < word.length; index += 1) {
    if (bytes[from + index] !== word.charCodeAt(index)) fail(from, word);
  }
  return from + word.length;
}

/** Returns the place after the key's closing quote. */
function skipKeyText(bytes: Buffer, from: number): number {
  if (bytes[from] !== quote) fail(from, 'a key in double quotes');
  return skipString(bytes, from + 1);
}

/** Returns the place where the member's value begins. */
function skipColon(bytes: Buffer, from: number): number {
  const at = skipSpace(bytes, from);
  if (bytes[at] !== colon) fail(at, "':' after a key");
  return skipSpace(bytes, at + 1);
}

/** Whether a key ended in `url` since this was last set; for one synchronous scan. */
let sawUrl = false;

/** What a key that ends in `url`, or in an escape of its last letter, ends in. */
const urlEnds: ReadonlySet<number | undefined> = new Set(Buffer.from('lcC'));

/** `from`, `to`: the bytes between the quotes. */
const endsInUrl = (bytes: Buffer, from: number, to: number): boolean =>
  urlEnds.has(bytes[to - 1]) && decode(bytes, from, to).endsWith('url');

/** Returns the place where the value of the key that begins at `from` begins. */
function skipKey(bytes: Buffer, from: number): number {
  const at = skipKeyText(bytes, from);
  if (endsInUrl(bytes, from + 1, at - 1)) sawUrl = true;
  return skipColon(bytes, at);
}

/** The opening byte of each container around the current value; filled and read within one synchronous call. */
const open = new Uint8Array(maxDepth + 1);

/** Skips one value of any kind, without recursion. `outer`: containers already open around it. */
function skipValue(bytes: Buffer, from: number, outer: number): number {
  let depth = outer;
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte === openBrace || byte === openBracket) {
      depth += 1;
      if (depth > maxDepth) throw new GatewayError('request_invalid', `The body is nested deeper than ${maxDepth} levels (at byte ${at}).`);
      open[depth] = byte;
      at = skipSpace(bytes, at + 1);
      if (bytes[at] !== byte + 2) {
        if (byte === openBrace) at = skipKey(bytes, at);
        continue;
      }
      depth -= 1;
      at += 1;
    } else if (byte === quote) at = skipString(bytes, at + 1);
    else at = skipScalar(bytes, at);
    while (depth > outer) {
      at = skipSpace(bytes, at);
      const next = bytes[at];
      const container = open[depth] as number;
      if (next === comma) break;
      if (next !== container + 2) fail(at, container === openBrace ? "',' or '}'" : "',' or ']'");
      depth -= 1;
      at += 1;
    }
    if (depth === outer) return at;
    at = skipSpace(bytes, at + 1);
    if (open[depth] === openBrace) at = skipKey(bytes, at);
  }
}

function skipScalar(bytes: Buffer, at: number): number {
  const kind = kindByFirstByte[bytes[at] ?? 0];
  if (kind === 'number') return skipNumber(bytes, at);
  if (kind === 'boolean' || kind === 'null') return skipWord(bytes, at);
  return fail(at, 'a value');
}

/** `from`, `to`: the bytes between the quotes. */
function decode(bytes: Buffer, from: number, to: number): string {
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] as number;
    if (byte === backslash || byte >= 0x80) return JSON.parse(bytes.toString('utf8', from - 1, to + 1)) as string;
  }
  return bytes.toString('latin1', from, to);
}

/** The text of a string field. */
export function stringAt(bytes: Buffer, field: Member): string {
  return decode(bytes, field.start + 1, field.end - 1);
}

/**
 * Proves that `bytes` are one valid JSON object in which no top-level key stands twice, and says where its
 * members are, without building any of it: what goes on to the engine then means the same there as here.
 * @throws GatewayError `request_invalid`, naming the byte and what was expected.
 */
export function scanObject(bytes: Buffer): ReadonlyMap<string, Member> {
  restart();
  const fields = new Map<string, Member>();
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== openBrace) fail(at, 'an object');
  at = skipSpace(bytes, at + 1);
  if (bytes[at] === closeBrace) at += 1;
  else {
    for (;;) {
      const keyEnd = skipKeyText(bytes, at);
      const key = decode(bytes, at + 1, keyEnd - 1);
      const start = skipColon(bytes, keyEnd);
      if (fields.has(key))
        throw new GatewayError('request_invalid', `The key ${JSON.stringify(key)} stands twice in the body.`, { param: key });
      sawUrl = false;
      const end = skipValue(bytes, start, 1);
      fields.set(key, { kind: kindByFirstByte[bytes[start] as number] as JsonKind, keyStart: at, start, end, namesUrl: sawUrl });
      at = skipSpace(bytes, end);
      if (bytes[at] === closeBrace) break;
      if (bytes[at] !== comma) fail(at, "',' or '}'");
      at = skipSpace(bytes, at + 1);
    }
    at += 1;
  }
  at = skipSpace(bytes, at);
  if (at !== bytes.length) fail(at, 'the end of the body');
  return fields;
}
