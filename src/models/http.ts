import { EnvHttpProxyAgent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import { redirectTarget } from './redirect.ts';

export interface HttpReply {
  /** The URL that answered, after redirects. */
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: Dispatcher.ResponseData['body'];
}

export interface HttpAsk {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` and to no other. */
  readonly authorization?: string | undefined;
}

const mostRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** HTTP as the stores speak it: one pool of connections, redirects followed by our rules. No timeout but that of the signal. */
export class HttpClient {
  readonly #agent = new EnvHttpProxyAgent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 15_000 }, allowH2: false });

  /** @throws ArtifactError `unreachable`, `unsafe`; the signal's reason. A status is the caller's to judge. */
  async send(ask: HttpAsk, signal: AbortSignal): Promise<HttpReply> {
    let { url } = ask;
    for (let hops = 0; hops <= mostRedirects; hops += 1) {
      const credentials = ask.authorization === undefined || url.origin !== ask.url.origin ? {} : { authorization: ask.authorization };
      const reply = await this.#once({ ...ask, url, headers: { ...ask.headers, ...credentials } }, signal);
      if (!redirects.has(reply.status)) return reply;
      await reply.body.dump();
      url = redirectTarget(url, reply.header('location'));
    }
    throw new ArtifactError('unreadable', `${ask.url.origin} redirects more than ${mostRedirects} times.`);
  }

  async #once({ method, url, headers }: HttpAsk, signal: AbortSignal): Promise<HttpReply> {
    try {
      const { statusCode, headers: got, body } = await request(url, { method, headers, signal, dispatcher: this.#agent });
      const header = (name: string): string | undefined => {
        const value = got[name];
        return Array.isArray(value) ? value[0] : value;
      };
      return { url, status: statusCode, header, body };
    } catch (thrown) {
      signal.throwIfAborted();
      throw new ArtifactError(
        'unreachable',
        `Cannot reach ${url.origin}: ${messageOf(thrown)}. Check the network and HTTPS_PROXY.`,
        thrown,
      );
    }
  }

  close(): void {
    // Whoever still reads is cut off; nobody should be.
    void this.#agent.destroy();
  }
}
