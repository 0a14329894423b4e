import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { GatewayError } from '../core/errors.ts';

/** Most headers of a request. Node itself drops those beyond its own limit without a word, an `Authorization` among them. */
export const maxHeaders = 256;

/** A name or address, and a port; nothing that another server on the way could read as something else. */
const hostPattern = /^(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/u;

/**
 * A request's head means one thing to everybody who reads it: its target is a path, and it has one well-formed `Host`.
 * @throws GatewayError `request_invalid`, `headers_too_large`
 */
export function checkHead({
  url,
  rawHeaders,
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'url' | 'rawHeaders' | 'headers' | 'httpVersion'>): void {
  if (rawHeaders.length > 2 * maxHeaders) {
    throw new GatewayError('headers_too_large', `The request has more than ${maxHeaders} headers.`);
  }
  if (url?.startsWith('/') !== true) {
    throw new GatewayError('request_invalid', `The target of the request must be a path, not ${JSON.stringify(url?.slice(0, 80))}.`);
  }
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw new GatewayError('request_invalid', 'The request has more than one Host.');
  if (hosts === 0 && httpVersion === '1.1') throw new GatewayError('request_invalid', 'The request has no Host.');
  if (headers.host !== undefined && !hostPattern.test(headers.host)) {
    throw new GatewayError(
      'request_invalid',
      `The Host ${JSON.stringify(headers.host.slice(0, 80))} is not a name or address, perhaps with a port.`,
    );
  }
}

const charsetPattern = /;\s*charset\s*=\s*"?([^";\s]*)"?/giu;

/**
 * A body whose bytes are what they seem: in UTF-8, not compressed.
 * @throws GatewayError `media_type_unsupported`
 */
export function checkEncoding(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new GatewayError(
      'media_type_unsupported',
      `Content-Encoding '${encoding.slice(0, 80)}' is not supported; send the body as it is.`,
    );
  }
  const type = headers['content-type'] ?? '';
  // Most have no parameter, and `matchAll` copies the pattern for each request.
  if (!type.includes(';')) return;
  for (const [, charset = ''] of type.matchAll(charsetPattern)) {
    if (/^utf-?8$/iu.test(charset)) continue;
    throw new GatewayError('media_type_unsupported', `The charset '${charset.slice(0, 80)}' is not supported; expected UTF-8.`);
  }
}
