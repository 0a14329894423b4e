const quote = 0x22;
const backslash = 0x5c;

/** Shorter values are skipped by the scanner itself; from here on `JSON.parse` is several times faster than any loop of ours. */
const minBytes = 256;
/** Longer ones too: of a hostile body of nothing but brackets `JSON.parse` would build every one. */
const maxBytes = 512 * 1024;
/** Bytes of one value behind the long one that are walked back over at the first guess. */
const nearBytes = 512;

function spaceBack(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at -= 1;
  }
}

/** The opening quote of the string that closes at `close`: the nearest one before it that is not escaped. −1 below `limit`. */
function openingQuote(bytes: Buffer, close: number, limit: number): number {
  for (let at = close - 1; at > limit; at -= 1) {
    if (bytes[at] !== quote) continue;
    let escapes = 0;
    while (bytes[at - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return -1;
}

/** The first byte of the value whose last byte is at `last`; −1 when that is not above `limit`. */
function valueBack(bytes: Buffer, last: number, limit: number): number {
  let depth = 0;
  let at = last;
  for (; at > limit; at -= 1) {
    const byte = bytes[at];
    if (byte === quote) {
      at = openingQuote(bytes, at, limit);
      if (at === -1) return -1;
    } else if (byte === 0x5d || byte === 0x7d) depth += 1;
    else if (byte === 0x5b || byte === 0x7b) depth -= 1;
    else if (depth === 0 && (byte === 0x3a || byte === 0x20 || byte === 0x0a)) return at === last ? -1 : at + 1;
    if (depth === 0 && (byte === quote || byte === 0x5b || byte === 0x7b)) return at;
  }
  return -1;
}

/**
 * The end of the value that begins at `start`, if what stands behind it are members of at most `budget` bytes each: found by
 * walking back from the end of the body until a longer value. A guess, right only for a well-formed body; −1 for none.
 */
function guessEnd(bytes: Buffer, start: number, budget: number): number {
  let separator = spaceBack(bytes, bytes.length - 1);
  for (;;) {
    const last = spaceBack(bytes, separator - 1);
    if (last <= start) return -1;
    const first = valueBack(bytes, last, Math.max(start, last - budget));
    if (first === -1) return last + 1;
    const colon = spaceBack(bytes, first - 1);
    const keyEnd = spaceBack(bytes, colon - 1);
    if (bytes[colon] !== 0x3a || bytes[keyEnd] !== quote) return -1;
    separator = spaceBack(bytes, openingQuote(bytes, keyEnd, start) - 1);
    if (bytes[separator] !== 0x2c || separator <= start) return -1;
  }
}

/** Whether the byte that can close the value comes soon: then a guess at a far end is likely wrong, and a wrong guess costs most. */
function looksShort(bytes: Buffer, start: number): boolean {
  const opening = bytes[start];
  const closing = opening === quote ? quote : opening === 0x5b ? 0x5d : opening === 0x7b ? 0x7d : undefined;
  if (closing === undefined) return true;
  for (let at = start + 1; at < start + minBytes; at += 1) if (bytes[at] === closing) return true;
  return false;
}

function parses(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    // The guess was wrong, or the body is: the scanner finds out which, and where.
    return undefined;
  }
}

function within(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  return Array.isArray(value) ? value.every((member) => within(member, depth - 1)) : membersWithin(value, depth - 1);
}

function membersWithin(object: object, depth: number): boolean {
  // Not Object.values, which makes an array for each message of a long conversation; JSON.parse's objects inherit nothing enumerable.
  for (const key in object) if (!within((object as Record<string, unknown>)[key], depth)) return false;
  return true;
}

/**
 * The end of the long value that begins at `start`, by the engine's own `JSON.parse`: the bytes up to there are exactly one
 * valid value, nested at most `depth` deep. undefined where this way does not decide; then the value is to be scanned.
 */
export function nativeEnd(bytes: Buffer, start: number, depth: number): number | undefined {
  const rest = bytes.length - start;
  if (rest < minBytes || rest > maxBytes || looksShort(bytes, start)) return undefined;
  let tried = -1;
  for (const budget of [nearBytes, rest >> 1]) {
    const end = guessEnd(bytes, start, budget);
    if (end - start < minBytes || end === tried) return undefined;
    tried = end;
    // Bytes as characters: to the grammar of JSON what stands inside a string makes no difference, and no decoding is needed.
    const parsed = parses(bytes.toString('latin1', start, end));
    if (parsed !== undefined) return within(parsed.value, depth) ? end : undefined;
  }
  return undefined;
}
