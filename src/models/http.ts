import { EnvHttpProxyAgent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { GatewayError, messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import { BodyReceiver } from './body-receiver.ts';
import type { Accept, Received } from './body-receiver.ts';
import type { ByteSink } from './byte-sink.ts';
import { DirectHttp } from './direct-http.ts';
import { headOf } from './http-head.ts';
import type { HttpHead, RawHeaders } from './http-head.ts';
import { redirectTarget } from './redirect.ts';
import type { SourceEnv } from './source.ts';

export interface HttpReply extends HttpHead {
  readonly headers: RawHeaders;
  readonly body: Dispatcher.ResponseData['body'];
}

export interface HttpAsk {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` and to no other. */
  readonly authorization?: string | undefined;
  /** What to do about a redirect; default: it is followed by our rules. */
  readonly redirects?: 'follow' | 'give';
}

const mostRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The proxies that the environment names, in either case of letters; the model's own variables stand above the process's. */
function proxiesOf(env: SourceEnv): { readonly httpProxy: string; readonly httpsProxy: string; readonly noProxy: string } {
  const of = (name: string): string => env[name] ?? env[name.toUpperCase()] ?? '';
  return { httpProxy: of('http_proxy'), httpsProxy: of('https_proxy'), noProxy: of('no_proxy') };
}

/** HTTP as the stores speak it: one pool of connections, redirects followed by our rules. No timeout but that of the signal. */
export class HttpClient {
  readonly #agent: EnvHttpProxyAgent;
  /** Undefined where a proxy may stand between. */
  readonly #direct: DirectHttp | undefined;

  /** @param env `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` */
  constructor(env: SourceEnv) {
    const proxies = proxiesOf(env);
    this.#direct = proxies.httpProxy === '' && proxies.httpsProxy === '' ? new DirectHttp() : undefined;
    this.#agent = new EnvHttpProxyAgent({
      ...proxies,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: 15_000 },
      allowH2: false,
    });
  }

  /** @throws ArtifactError `unreachable`, `unsafe`; the signal's reason. A status is the caller's to judge. */
  async send(ask: HttpAsk, signal: AbortSignal): Promise<HttpReply> {
    return await this.#following(ask, async (at) => {
      const { url, method, headers } = at;
      const {
        statusCode,
        headers: got,
        body,
      } = await this.#reached(at, signal, () => request(url, { method, headers, signal, dispatcher: this.#agent }));
      const reply = { ...headOf(url, statusCode, got), headers: got, body };
      if (isRedirect(reply, ask)) await reply.body.dump();
      return reply;
    });
  }

  /**
   * Passes a body on as it comes, without a stream in between; right from the socket where the reply is plain and no proxy is named.
   * @param accept judges the head: false where the body is not what was asked for. What it throws ends the request.
   * @returns `text`: of a body that was not accepted, its first 16 KB
   * @throws ArtifactError `unreachable`, `unsafe`; what `accept` and the sink throw; the signal's reason
   */
  async receive(
    ask: HttpAsk,
    accept: (head: HttpHead) => boolean,
    sink: ByteSink,
    signal: AbortSignal,
  ): Promise<{ readonly head: HttpHead; readonly text: string }> {
    const { head, text } = await this.#following(ask, async (at) => {
      const judge: Accept = (status, headers) => {
        const head = headOf(at.url, status, headers);
        return isRedirect(head, ask) ? false : accept(head);
      };
      const received = await this.#reached(
        at,
        signal,
        async () => (await this.#plainly(at, judge, sink, signal)) ?? (await this.#dispatched(at, judge, sink, signal)),
      );
      const head = headOf(at.url, received.status, received.headers);
      return { ...head, head, text: received.text };
    });
    return { head, text };
  }

  /** @returns undefined: to be asked in another way */
  async #plainly(at: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal): Promise<Received | undefined> {
    if (this.#direct === undefined) return undefined;
    return await (sink.elsewhere?.(at, signal) ?? this.#direct.receive(at, accept, sink, signal));
  }

  async #dispatched({ url, method, headers }: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal): Promise<Received> {
    const receiver = new BodyReceiver(accept, sink, signal);
    const { origin, pathname, search } = url;
    this.#agent.dispatch({ origin, path: pathname + search, method, headers }, receiver);
    return await receiver.done;
  }

  close(): void {
    this.#direct?.close();
    // Whoever still reads is cut off; nobody should be.
    void this.#agent.destroy();
  }

  async #following<Reply extends HttpHead>(ask: HttpAsk, once: (ask: HttpAsk) => Promise<Reply>): Promise<Reply> {
    let { url } = ask;
    for (let hops = 0; hops <= mostRedirects; hops += 1) {
      const credentials = ask.authorization === undefined || url.origin !== ask.url.origin ? {} : { authorization: ask.authorization };
      const reply = await once({ ...ask, url, headers: { ...ask.headers, ...credentials } });
      if (!isRedirect(reply, ask)) return reply;
      url = redirectTarget(url, reply.header('location'));
    }
    throw new ArtifactError('unreadable', `${ask.url.origin} redirects more than ${mostRedirects} times.`);
  }

  async #reached<Result>({ url }: HttpAsk, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof GatewayError) throw thrown;
      throw new ArtifactError(
        'unreachable',
        `Cannot reach ${url.origin}: ${messageOf(thrown)}. Check the network and HTTPS_PROXY.`,
        thrown,
      );
    }
  }
}

function isRedirect({ status }: HttpHead, { redirects: rule = 'follow' }: HttpAsk): boolean {
  return rule === 'follow' && redirects.has(status);
}
