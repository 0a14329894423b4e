import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf } from '../core/errors.ts';

/** Larger files are refused: a config of a thousand models has some 300 KB. */
export const maxFileBytes = 1024 * 1024;

export type FileText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'problem'; readonly line: number; readonly column: number; readonly message: string };

/** A config file's text, its byte order mark removed; or why it cannot be used. Pipes can be read too. */
export function readText(file: string): FileText {
  let bytes: Buffer;
  try {
    bytes = readAtMost(file, maxFileBytes + 1);
  } catch (error) {
    return { kind: 'problem', line: 1, column: 1, message: unreadable(error) };
  }
  if (bytes.length > maxFileBytes) {
    return { kind: 'problem', line: 1, column: 1, message: `the file is larger than ${maxFileBytes} bytes; expected a config file` };
  }
  return decode(bytes);
}

/** Reads no further than `limit` bytes, so that a device or an endless pipe cannot fill the memory. */
function readAtMost(file: string, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  const descriptor = openSync(file, 'r');
  try {
    let length = 0;
    while (length < limit) {
      const read = readSync(descriptor, buffer, length, limit - length, null);
      if (read === 0) break;
      length += read;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file; expected the path of a YAML file';
  if (code === 'EISDIR') return 'this is a directory; expected a YAML file';
  if (code === 'EACCES') return 'this user may not read the file; expected read permission';
  return `the file cannot be read: ${messageOf(error)}`;
}

function decode(bytes: Buffer): FileText {
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    const before = new TextDecoder('utf-8').decode(bytes.subarray(0, firstInvalid(bytes)), { stream: true }).split('\n');
    const column = (before.at(-1)?.length ?? 0) + 1;
    return { kind: 'problem', line: before.length, column, message: 'a byte here is not UTF-8; expected a text file in UTF-8' };
  }
}

/** Offset of the first byte sequence that is not UTF-8: the longest valid prefix, found by halving. */
function firstInvalid(bytes: Buffer): number {
  const stream = (end: number): boolean => {
    try {
      // As a stream: a character cut at the end of the prefix is no error.
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >>> 1;
    if (middle <= bytes.length && stream(middle)) valid = middle;
    else invalid = middle;
  }
  return valid;
}
