import { connect } from 'node:net';

export interface RawAnswer {
  /** 0: the connection was closed without one. */
  readonly status: number;
  readonly text: string;
  /** Statuses of all answers on the connection. */
  readonly statuses: readonly number[];
}

/**
 * Writes bytes to a connection of its own and gives what came until it was closed.
 * @param ends whether the client closes its end behind them
 */
export function sendRaw(port: number, pieces: readonly (string | Buffer)[], ends = false): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer>();
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Closed while it is still being written to: what was answered before that counts.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    const text = Buffer.concat(chunks).toString('latin1');
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/gu)].map(([, status]) => Number(status));
    resolve({ status: statuses[0] ?? 0, text, statuses });
  });
  for (const piece of pieces) socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
  if (ends) socket.end();
  return promise;
}

export interface RawRequest {
  readonly method?: string;
  readonly target?: string;
  /** Whole lines, without `Host`, `Connection` and `Content-Length`. */
  readonly headers?: readonly string[];
  readonly host?: string;
  readonly body?: string | Buffer;
}

/** A request that closes its connection, with a right `Content-Length`. */
export function rawRequest({
  method = 'POST',
  target = '/v1/chat/completions',
  headers,
  host = 'localhost',
  body = '',
}: RawRequest): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    ...(headers ?? ['Content-Type: application/json']),
    ...(method === 'GET' ? [] : [`Content-Length: ${bytes.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}
