import { streamBody } from './bodies.ts';
import { Connection, postRequest } from './connection.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

const newline = 0x0a;

/** Counts events of an SSE body, which end in an empty line, wherever the body is cut. */
export class EventCounter {
  events = 0;
  #afterNewline = false;

  push(piece: Buffer): void {
    for (let at = piece.indexOf(newline); at !== -1; at = piece.indexOf(newline, at + 1)) {
      const follows = at === 0 ? this.#afterNewline : piece[at - 1] === newline;
      if (follows) this.events += 1;
    }
    if (piece.length > 0) this.#afterNewline = piece[piece.length - 1] === newline;
  }
}

/** Streams held open on connections of their own. */
export class StreamSet {
  /** Settles when every stream has had an event or has failed; never rejects. */
  readonly opened: Promise<void>;
  readonly #streams: { readonly connection: Connection; readonly counter: EventCounter }[] = [];
  readonly #failures: string[] = [];

  constructor(order: Extract<ToGenerator, { kind: 'open-streams' }>) {
    const request = postRequest(order.port, '/v1/chat/completions', streamBody(order.order));
    const opening = Array.from({ length: order.streams }, () => this.#open(order.port, request));
    this.opened = Promise.all(opening).then(() => undefined);
  }

  #open(port: number, request: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const counter = new EventCounter();
      const fail = (reason: string): void => {
        this.#failures.push(reason);
        resolve();
      };
      const connection = new Connection(port, {
        body: (piece) => {
          counter.push(piece);
          if (counter.events > 0) resolve();
        },
        replied: (status) => fail(`the stream ended by itself, status ${status}`),
        lost: fail,
      });
      this.#streams.push({ connection, counter });
      connection.send(request);
    });
  }

  count(): Extract<FromGenerator, { kind: 'events' }> {
    const events = this.#streams.reduce((sum, stream) => sum + stream.counter.events, 0);
    return { kind: 'events', events, failures: this.#failures };
  }

  close(): Extract<FromGenerator, { kind: 'events' }> {
    for (const stream of this.#streams) stream.connection.close();
    return this.count();
  }
}
