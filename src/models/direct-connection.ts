import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { mostText } from './body-receiver.ts';
import type { Accept, Received } from './body-receiver.ts';
import { pour } from './byte-sink.ts';
import type { ByteSink } from './byte-sink.ts';
import type { HttpAsk } from './http.ts';
import { readHead } from './http-reply-head.ts';
import type { ReplyHead } from './http-reply-head.ts';
import { textOf } from './reply-text.ts';
import type { ReplyText } from './reply-text.ts';

/** An `import` of it would read all that it exports, and a getter of Node.js 24 loads a whole client with the first look at `WebSocket`. */
const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule('node:http');
/** Loaded with the first one that needs it: each thread has a copy of its own. */
const connectTls = (options: ConnectionOptions): Socket => process.getBuiltinModule('node:tls').connect(options);

const connectTimeoutMs = 15_000;
const headBytes = 16 * 1024;
const endOfHead = '\r\n\r\n';

interface Exchange {
  readonly method: string;
  readonly accept: Accept;
  readonly sink: ByteSink;
  /** Undefined: the reply is not plain, and nothing of its body was taken. */
  readonly settled: PromiseWithResolvers<Received | undefined>;
  head: ReplyHead | undefined;
  /** Bytes of an accepted body that are still to come. */
  left: number;
  /** Of a body that was not accepted. */
  text: ReplyText | undefined;
  /** Of that text, what is read at least where there is more, in bytes. */
  readonly most: number;
}

/**
 * A connection that reads the body of a reply right into the memory that it is written to disk from. Node's streams make a buffer for each
 * 64 KB, and undici's parser copies it: both cost several times what the network does. It knows only plain replies (`readHead`).
 */
export class DirectConnection {
  readonly #socket: Socket;
  /** Of a head, and of what nobody waits for. */
  readonly #spare = Buffer.allocUnsafe(headBytes);
  #spareHeld = 0;
  #exchange: Exchange | undefined;
  #keep = true;
  #error: Error | undefined;
  #closed = false;
  /** A byte of a reply to the last request has come. */
  heard = false;

  constructor(url: URL) {
    const isTls = url.protocol === 'https:';
    const host = url.hostname.replaceAll(/^\[|\]$/g, '');
    const onread = { buffer: () => this.#space(), callback: (bytes: number) => this.#took(bytes) };
    const options = { host, port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port), onread };
    const name = isIP(host) === 0 ? { servername: host } : {};
    this.#socket = isTls ? connectTls({ ...options, ...name, ALPNProtocols: ['http/1.1'] }) : connect(options);
    this.#socket
      .setNoDelay()
      .setTimeout(connectTimeoutMs, () => {
        this.#fail(new Error(`no connection within ${connectTimeoutMs / 1000} s`));
      })
      .once(isTls ? 'secureConnect' : 'connect', () => this.#socket.setTimeout(0))
      .on('error', (error) => (this.#error = error))
      .on('close', () => {
        this.#end();
      });
  }

  /** Another request may be made. */
  get free(): boolean {
    return !this.#closed && this.#keep && this.#exchange === undefined;
  }

  /**
   * One request, while none is under way.
   * @param most bytes of a body that is not accepted which are read
   * @returns undefined: the reply is not plain; nothing was taken of it
   * @throws as `HttpClient.receive`
   */
  async receive(
    { url, method, headers }: HttpAsk,
    accept: Accept,
    sink: ByteSink,
    signal: AbortSignal,
    most = mostText,
  ): Promise<Received | undefined> {
    signal.throwIfAborted();
    const settled = Promise.withResolvers<Received | undefined>();
    this.#exchange = { method, accept, sink, settled, head: undefined, left: 0, text: undefined, most };
    this.#spareHeld = 0;
    this.heard = false;
    const leave = (): void => {
      this.#fail(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      if (this.#closed) this.#end();
      else this.#socket.write(requestText(method, url, headers), 'latin1');
      return await settled.promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  close(): void {
    this.#keep = false;
    this.#socket.destroy();
  }

  /** Where the socket puts what it reads next. */
  #space(): Uint8Array {
    const { left, sink } = this.#exchange ?? { left: 0 };
    if (left === 0 || sink === undefined) return this.#spare.subarray(this.#spareHeld);
    try {
      const space = sink.space();
      return space.length > left ? space.subarray(0, left) : space;
    } catch (thrown) {
      this.#fail(thrown);
      return this.#spare;
    }
  }

  /** @returns false where the socket must wait */
  #took(bytes: number): boolean {
    const exchange = this.#exchange;
    this.heard = true;
    // Nobody has asked for it.
    if (exchange === undefined) this.close();
    else if (exchange.left > 0) return this.#more(exchange, bytes);
    else if (exchange.head === undefined) return this.#readHead(exchange, bytes);
    else this.#refused(exchange, this.#spare.subarray(0, bytes));
    return true;
  }

  #more(exchange: Exchange, bytes: number): boolean {
    try {
      return this.#body(exchange, bytes, exchange.sink.filled(bytes));
    } catch (thrown) {
      this.#fail(thrown);
      return true;
    }
  }

  #body(exchange: Exchange, bytes: number, hold: Promise<void> | undefined): boolean {
    exchange.left -= bytes;
    if (exchange.left === 0) {
      this.#done(exchange);
      return true;
    }
    if (hold === undefined) return true;
    hold.then(
      () => this.#socket.resume(),
      (thrown: unknown) => {
        this.#fail(thrown);
      },
    );
    return false;
  }

  #readHead(exchange: Exchange, bytes: number): boolean {
    this.#spareHeld += bytes;
    const held = this.#spare.subarray(0, this.#spareHeld);
    const end = held.indexOf(endOfHead, 0, 'latin1');
    if (end < 0 && held.length < headBytes) return true;
    const head = end < 0 ? undefined : readHead(held.toString('latin1', 0, end));
    const rest = held.subarray(end + endOfHead.length);
    this.#spareHeld = 0;
    if (head === undefined) {
      this.#notPlain(exchange);
      return true;
    }
    // The length of a reply to HEAD is that of another one.
    exchange.head = exchange.method === 'HEAD' ? { ...head, body: 0 } : head;
    try {
      if (exchange.accept(head.status, head.headers)) return this.#accepted(exchange, exchange.head, rest);
      this.#refused(exchange, rest);
    } catch (thrown) {
      this.#fail(thrown);
    }
    return true;
  }

  #accepted(exchange: Exchange, { body }: ReplyHead, rest: Buffer): boolean {
    if (typeof body !== 'number' || rest.length > body) {
      this.#notPlain(exchange);
      return true;
    }
    exchange.left = body;
    return this.#body(exchange, rest.length, pour(exchange.sink, rest));
  }

  /** Of one that is not accepted the text is read, as far as it tells something. */
  #refused(exchange: Exchange, bytes: Buffer): void {
    exchange.text ??= textOf(exchange.head?.body ?? 0);
    try {
      exchange.text.add(bytes);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (exchange.text.ended || exchange.text.length >= exchange.most) this.#done(exchange);
  }

  #done({ head, text, settled, most }: Exchange, isClosed = false): void {
    if (head === undefined) throw new Error('a reply ended before its head');
    this.#exchange = undefined;
    const isAllRead = text === undefined || (text.ended && !text.surplus);
    if (!head.keepAlive || !isAllRead) this.close();
    settled.resolve({
      status: head.status,
      headers: head.headers,
      text: text?.bytes().toString('utf8', 0, most) ?? '',
      whole: text === undefined || text.ended || (isClosed && head.body === 'until-close'),
    });
  }

  #notPlain({ settled }: Exchange): void {
    this.#exchange = undefined;
    this.close();
    settled.resolve(undefined);
  }

  #fail(thrown: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.close();
    exchange?.settled.reject(thrown);
  }

  /** No byte will come any more. */
  #end(): void {
    this.#closed = true;
    const exchange = this.#exchange;
    if (exchange?.head !== undefined && exchange.left === 0) {
      this.#keep = false;
      this.#done(exchange, true);
    } else this.#fail(this.#error ?? new Error('the other side closed the connection'));
  }
}

function requestText(method: string, url: URL, headers: HttpAsk['headers']): string {
  const all = { host: url.host, ...headers };
  const lines = Object.entries(all).map(([name, value]) => {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return `${name}: ${value}\r\n`;
  });
  return `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
