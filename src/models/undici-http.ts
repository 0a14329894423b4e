import { EnvHttpProxyAgent } from 'undici';
import { BodyReceiver } from './body-receiver.ts';
import type { Accept, Received } from './body-receiver.ts';
import type { ByteSink } from './byte-sink.ts';
import type { HttpAsk } from './http.ts';

/** Of undici's environment; `''`: none. */
export interface Proxies {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

/** What is not plain, or goes through a proxy. A module of its own, because undici takes as long to load as the rest of a short pull. */
export class UndiciHttp {
  readonly #agent: EnvHttpProxyAgent;

  constructor(proxies: Proxies) {
    this.#agent = new EnvHttpProxyAgent({
      ...proxies,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: 15_000 },
      allowH2: false,
    });
  }

  /** As `DirectHttp.receive()`, of any reply. */
  async receive({ url, method, headers }: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal, most?: number): Promise<Received> {
    const receiver = new BodyReceiver(accept, sink, signal, most);
    const { origin, pathname, search } = url;
    this.#agent.dispatch({ origin, path: pathname + search, method, headers }, receiver);
    return await receiver.done;
  }

  close(): void {
    // Whoever still reads is cut off; nobody should be.
    void this.#agent.destroy();
  }
}
