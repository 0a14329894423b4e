import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, GatewayError } from '../core/errors.ts';
import { errorReply } from './openai/error-body.ts';

const codes: ReadonlyMap<string | undefined, ErrorCode> = new Map([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'request_timeout'],
]);

/** Whether a reply is under way on a connection: what is written to it now would be read as a part of that. */
function isReplying(socket: Duplex): boolean {
  // Node's own handler of these errors looks at the same.
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true;
}

interface AnsweredSocket extends Duplex {
  answered?: true;
}

/** Whether a request was answered, and counted, on its socket: its route, which waited for the body, sees it only break off. */
export function isAnswered(socket: Duplex): boolean {
  return (socket as AnsweredSocket).answered === true;
}

/** Malformed HTTP never reaches a route: it is answered on the socket, in the same shape, and the connection is closed. */
export function onClientError(server: Server, rejected: (code: ErrorCode) => void): void {
  server.removeAllListeners('clientError');
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Something stands behind a request that was to be the last one; it is not looked at, and the reply to that request closes the connection.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    if (!socket.writable || socket.destroyed) return;
    const code = codes.get(error.code) ?? 'request_invalid';
    rejected(code);
    (socket as AnsweredSocket).answered = true;
    if (isReplying(socket)) {
      socket.destroy();
      return;
    }
    const why = code === 'request_timeout' ? 'The request did not arrive in time.' : `Malformed HTTP request: ${error.message}.`;
    const { status, body } = errorReply(new GatewayError(code, why));
    socket.end(
      `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  });
}

/** Longest time that a client may go on sending a body that was refused. */
const lingerMs = 5000;

/**
 * Reads on for a while and forgets it: a connection that is closed with bytes unread takes the reply down with it, before a client that
 * sends first and then reads has seen it. Node closes at once where the client, or the reply, says that the connection ends; so the
 * reply must not, and it is ended here when all has come. To be called before the reply's head is written.
 */
export function discardRest(raw: IncomingMessage, reply: ServerResponse, clock: Clock): void {
  if (raw.complete) return;
  const last = !reply.shouldKeepAlive;
  reply.shouldKeepAlive = true;
  const stop = clock.after(lingerMs, () => raw.destroy());
  raw.once('end', () => {
    if (last) raw.socket.end();
  });
  raw.once('close', stop);
  raw.resume();
}
