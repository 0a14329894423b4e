import type { RawHeaders } from './http-head.ts';

/** What is before a body, and how the body ends. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: RawHeaders;
  /** In bytes, `chunked`, or with the connection. */
  readonly body: number | 'chunked' | 'until-close';
  /** The connection may be used for another request. */
  readonly keepAlive: boolean;
}

const statusLine = /^HTTP\/1\.1 ([2-5]\d\d)(?: [^\r\n]*)?$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/;

/** Reads the head of a reply, without the empty line that ends it. Undefined for what is not plain: that is left to a whole HTTP client. */
export function readHead(text: string): ReplyHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const status = Number(statusLine.exec(first)?.[1]);
  if (Number.isNaN(status) || status === 204 || status === 304) return undefined;
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, name = '', value = ''] = headerLine.exec(line) ?? [];
    const key = name.toLowerCase();
    // A header that stands twice may mean two things.
    if (key === '' || (key in headers && framing.has(key))) return undefined;
    headers[key] ??= value;
  }
  const body = bodyOf(headers);
  return body === undefined ? undefined : { status, headers, body, keepAlive: !/\bclose\b/i.test(headers['connection'] ?? '') };
}

const framing: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'content-range', 'location', 'content-encoding']);

function bodyOf(headers: Readonly<Record<string, string>>): ReplyHead['body'] | undefined {
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  if (coding !== undefined) return coding.toLowerCase() === 'chunked' && length === undefined ? 'chunked' : undefined;
  if (length === undefined) return 'until-close';
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
