import type { Accept, Received } from './body-receiver.ts';
import type { ByteSink } from './byte-sink.ts';
import { DirectConnection } from './direct-connection.ts';
import type { HttpAsk } from './http.ts';

/** Connections that are used again, by origin. Who has their replies read says how many there are at a time. */
export class DirectHttp {
  readonly #idle = new Map<string, DirectConnection[]>();
  readonly #all = new Set<DirectConnection>();
  /** Origins whose bodies are not plain. */
  readonly #others = new Set<string>();

  /** @returns undefined: to be asked in another way. @throws as `HttpClient.receive` */
  async receive(ask: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal, most?: number): Promise<Received | undefined> {
    const { origin } = ask.url;
    if (this.#others.has(origin)) return undefined;
    const on = async (connection: DirectConnection): Promise<Received | undefined> =>
      await this.#on(connection, origin, () => connection.receive(ask, accept, sink, signal, most));
    const kept = this.#kept(origin);
    if (kept === undefined) return await on(this.#open(ask.url));
    try {
      return await on(kept);
    } catch (thrown) {
      // The other side closed it while it was idle, or at just this moment.
      if (signal.aborted || kept.heard) throw thrown;
      return await on(this.#open(ask.url));
    }
  }

  close(): void {
    for (const connection of this.#all) connection.close();
    this.#all.clear();
    this.#idle.clear();
  }

  #kept(origin: string): DirectConnection | undefined {
    const idle = this.#idle.get(origin) ?? [];
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (connection.free) return connection;
      this.#all.delete(connection);
    }
    return undefined;
  }

  #open(url: URL): DirectConnection {
    const connection = new DirectConnection(url);
    this.#all.add(connection);
    return connection;
  }

  async #on(connection: DirectConnection, origin: string, ask: () => Promise<Received | undefined>): Promise<Received | undefined> {
    try {
      const received = await ask();
      if (received === undefined) this.#others.add(origin);
      return received;
    } finally {
      if (connection.free) this.#idle.set(origin, [...(this.#idle.get(origin) ?? []), connection]);
      else this.#all.delete(connection);
    }
  }
}
