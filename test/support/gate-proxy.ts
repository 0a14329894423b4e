import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Passes bytes on to a server and back, and after so many have come from it keeps the rest until it is opened. */
export class GateProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held = new Set<Socket>();
  #passes: number;

  /** @param passes bytes that come through before the gate shuts */
  static async start(port: number, passes: number): Promise<GateProxy> {
    const proxy = new GateProxy(port, passes);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(port: number, passes: number) {
    this.#passes = passes;
    this.#server = createServer((client) => {
      this.#relay(client, connect(port, '127.0.0.1'));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  open(): void {
    this.#passes = Number.POSITIVE_INFINITY;
    for (const socket of this.#held) socket.resume();
    this.#held.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    // Also those that are accepted while it closes.
    this.#server.on('connection', (client: Socket) => client.destroy());
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      const end = (): void => {
        client.destroy();
        server.destroy();
        this.#sockets.delete(socket);
        this.#held.delete(server);
      };
      socket.on('error', end).on('close', end);
    }
    client.pipe(server);
    client.on('drain', () => {
      if (this.#passes > 0) server.resume();
      else this.#held.add(server);
    });
    server.on('data', (bytes: Buffer) => {
      this.#passes -= bytes.length;
      const full = !client.write(bytes);
      if (full || this.#passes <= 0) server.pause();
      if (this.#passes <= 0) this.#held.add(server);
    });
  }
}
