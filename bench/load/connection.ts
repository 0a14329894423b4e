import { connect, type Socket } from 'node:net';
import { MessageReader } from './message-reader.ts';

export interface ConnectionEvents {
  /** A reply is complete. */
  replied(status: number): void;
  /** A piece of a body; only called where given, as most replies are not looked into. */
  body?(piece: Buffer): void;
  /** The connection ended otherwise than by `close()`; called once. */
  lost(reason: string): void;
}

/** One keep-alive connection that sends ready-made bytes. */
export class Connection {
  readonly #socket: Socket;
  #status = 0;
  #closed = false;

  constructor(port: number, events: ConnectionEvents) {
    const lost = (reason: string): void => {
      if (this.#closed) return;
      this.close();
      events.lost(reason);
    };
    const reader = new MessageReader({
      head: (startLine) => {
        this.#status = Number(startLine.slice(9, 12));
      },
      body: (piece) => events.body?.(piece),
      end: () => events.replied(this.#status),
    });
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (data) => {
      try {
        reader.push(data);
      } catch (error) {
        lost(error instanceof Error ? error.message : String(error));
      }
    });
    this.#socket.on('error', (error) => lost(error.message));
    this.#socket.on('close', () => lost('closed by the other side'));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}

/** The bytes of a POST, to be sent any number of times. */
export function postRequest(port: number, path: string, body: Buffer): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'accept: application/json',
    'user-agent: bench',
    'authorization: Bearer bench',
    'content-type: application/json',
    `content-length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
