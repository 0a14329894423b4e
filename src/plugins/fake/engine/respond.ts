import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Settings } from '../settings.ts';
import { CutError } from './cut-error.ts';
import { accents } from './accent.ts';

export function sendJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  sendText(response, status, 'application/json', JSON.stringify(body), headers);
}

export function sendText(response: ServerResponse, status: number, type: string, body: string, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': bytes.length });
  response.end(bytes);
}

/** Answers with an error status in the shape that `refuse_body` asks for. */
export function refuse(response: ServerResponse, settings: Settings, status: number): void {
  const message = `The fake engine was told to refuse this request with ${status}.`;
  switch (settings.refuse_body) {
    case 'json':
      sendJson(
        response,
        status,
        accents[settings.dialect].errorBody(status, {
          message,
          type: status < 500 ? 'invalid_request_error' : 'server_error',
          code: 'fake_refusal',
        }),
      );
      return;
    case 'flat':
      sendJson(response, status, { object: 'error', message, type: 'FakeRefusal', param: null, code: status });
      return;
    case 'html':
      sendText(response, status, 'text/html', `<html><head><title>${status}</title></head><body><h1>${message}</h1></body></html>`);
      return;
    case 'empty':
      response.writeHead(status, { 'content-length': 0 });
      response.end();
      return;
  }
}

/** Headers that no proxy may pass on (RFC 9110 §7.6.1), or that none should: `headers: evil`. */
export function extraHeaders(settings: Settings): Record<string, string> {
  if (settings.headers !== 'evil') return {};
  return {
    connection: 'keep-alive, x-foo',
    'x-foo': 'for this hop only',
    'keep-alive': 'timeout=1',
    'proxy-authenticate': 'Basic realm="fake"',
    'set-cookie': 'fake=1; Path=/',
    server: 'fake',
  };
}

/** A reply with two lengths that disagree, which Node would not write itself: `headers: duplicate-length`. */
export async function sendTwoLengths(request: IncomingMessage): Promise<never> {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n';
  await new Promise<void>((resolve) => request.socket.end(`${head}{}\n`, resolve));
  throw new CutError('answered past the HTTP server');
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
