import { type RawRequest, rawRequest } from './raw-http.ts';

/** Requests that two servers in a row could read differently (request smuggling): each is refused, and the connection closed. */
export function ambiguousRequests(body: string): readonly (readonly [name: string, bytes: string])[] {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const length = `Content-Length: ${body.length}\r\n`;
  const chunked = 'Transfer-Encoding: chunked\r\n';
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  return [
    ['both lengths', `${head}${length}${chunked}\r\n${chunk}`],
    ['both lengths, the other way round', `${head}${chunked}${length}\r\n${chunk}`],
    ['two lengths that differ', `${head}${length}Content-Length: 1\r\n\r\n${body}`],
    ['two lengths in one header', `${head}Content-Length: ${body.length}, ${body.length}\r\n\r\n${body}`],
    ['the same length twice', `${head}${length}${length}\r\n${body}`],
    ['a length with a sign', `${head}Content-Length: +${body.length}\r\n\r\n${body}`],
    ['a length in hex', `${head}Content-Length: 0x${body.length.toString(16)}\r\n\r\n${body}`],
    ['a negative length', `${head}Content-Length: -1\r\n\r\n${body}`],
    ['an encoding that is not chunked', `${head}Transfer-Encoding: xchunked\r\n\r\n${chunk}`],
    ['chunked before another encoding', `${head}Transfer-Encoding: chunked, identity\r\n\r\n${chunk}`],
    ['a folded header', `${head}X-A: 1\r\n Transfer-Encoding: chunked\r\n${length}\r\n${body}`],
    ['a header that ends in a bare LF', `${head}X-A: 1\n${length}\r\n${body}`],
    ['a bare CR in a header', `${head}X-A: 1\r2\r\n${length}\r\n${body}`],
    ['a NUL in a header', `${head}X-A: 1\0\r\n${length}\r\n${body}`],
    ['a blank before the colon', `${head}Content-Length : ${body.length}\r\n\r\n${body}`],
    ['no colon', `${head}X-A\r\n${length}\r\n${body}`],
    ['a chunk size with a sign', `${head}${chunked}\r\n+${chunk}`],
    ['a chunk size beyond all numbers', `${head}${chunked}\r\nfffffffffffffffff\r\n${body}`],
    ['20 KB of chunk extensions', `${head}${chunked}\r\n${body.length.toString(16)};${'a'.repeat(20_000)}\r\n${body}\r\n0\r\n\r\n`],
    ['a chunk that is longer than its size', `${head}${chunked}\r\n2\r\n${body}\r\n0\r\n\r\n`],
    ['a first line with a bare LF', `POST /v1/chat/completions HTTP/1.1\nHost: localhost\n\n`],
    ['a version that is none', 'GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n'],
    ['two Hosts', `GET /health HTTP/1.1\r\nHost: localhost\r\nHost: other\r\nConnection: close\r\n\r\n`],
    ['no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ...['a/?', 'a b', 'a@b', 'a,b', 'a#', 'a\\b', '[::1', 'a:b', 'a:1:2'].map(
      (host) => [`Host: ${host}`, rawRequest({ method: 'GET', target: '/health', host }).toString('latin1')] as const,
    ),
    ['an absolute target', rawRequest({ method: 'GET', target: 'http://localhost/health' }).toString('latin1')],
    ['a target that is an authority', 'GET localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['a target of *', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
  ];
}

/** Paths that a careless server reads as another one: none is there. */
export const trickyPaths: readonly string[] = [
  '/v1/models/..%2f..%2fetc%2fpasswd',
  '/v1/models/../../etc/passwd',
  '/v1/models/%2e%2e/%2e%2e',
  '/v1/models/%00',
  '/v1/models/a%00b',
  '/v1/models/..%5c..%5cetc',
  '/v1/models/%ff',
  '/v1/models/%zz',
  '//v1/models',
  '/v1//models',
  '/v1/models//',
  '/v1/models;a=b',
  '/v1;/models',
  '/v1/./models',
  '/V1/models',
  '/v1/models%20',
  '/v1%2fmodels',
  '/engines/m/health',
  '/metrics',
  '/v1/chat/completions/..%2f..%2fmodels',
];

const json = (headers: readonly string[]): RawRequest => ({ headers });

/** Bodies that are not what the API takes: 415. */
export const wrongTypes: readonly (readonly [name: string, request: RawRequest])[] = [
  ['no Content-Type', json([])],
  ['text', json(['Content-Type: text/plain'])],
  ['a form', json(['Content-Type: application/x-www-form-urlencoded'])],
  ['a form with files', json(['Content-Type: multipart/form-data; boundary=x'])],
  ['a type like JSON', json(['Content-Type: application/jsonx'])],
  ['a type within another', json(['Content-Type: text/plain; application/json'])],
  ['two types', json(['Content-Type: application/json, text/plain'])],
  ['an empty type', json(['Content-Type:'])],
  ['UTF-16', json(['Content-Type: application/json; charset=utf-16'])],
  ['two charsets', json(['Content-Type: application/json; charset=utf-8; charset=utf-7'])],
  ['gzip', json(['Content-Type: application/json', 'Content-Encoding: gzip'])],
  ['gzip, in capitals', json(['Content-Type: application/json', 'Content-Encoding: GZIP'])],
  ['identity and then deflate', json(['Content-Type: application/json', 'Content-Encoding: identity, deflate'])],
];

/** Ways to say JSON that are right. */
export const rightTypes: readonly string[] = [
  'application/json',
  'APPLICATION/JSON',
  'application/json;charset=utf-8',
  'application/json; charset="UTF-8"',
  'application/json ; charset=utf-8',
  'application/json;\tcharset=utf-8',
];
