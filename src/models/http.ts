import { GatewayError, messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import type { Accept, Received } from './body-receiver.ts';
import type { ByteSink } from './byte-sink.ts';
import { DirectHttp } from './direct-http.ts';
import { headOf } from './http-head.ts';
import type { HttpHead, RawHeaders } from './http-head.ts';
import { redirectTarget } from './redirect.ts';
import type { SourceEnv } from './source.ts';
import type { Proxies, UndiciHttp } from './undici-http.ts';

export interface HttpReply extends HttpHead {
  readonly headers: RawHeaders;
  readonly text: string;
  /** That is all of it. */
  readonly whole: boolean;
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
/** Of a listing's page, or what else is read as a whole. */
const mostReply = 32 * 1024 * 1024;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The proxies that the environment names, in either case of letters; the model's own variables stand above the process's. */
function proxiesOf(env: SourceEnv): Proxies {
  const of = (name: string): string => env[name] ?? env[name.toUpperCase()] ?? '';
  return { httpProxy: of('http_proxy'), httpsProxy: of('https_proxy'), noProxy: of('no_proxy') };
}

/** Of a reply that is read as a text. */
const noSink: ByteSink = {
  space: () => {
    throw new Error('no body was wanted');
  },
  filled: () => undefined,
};

/**
 * HTTP as the stores speak it: right from the socket where a reply is plain and no proxy is named, else by undici; redirects followed by our
 * rules. No timeout but that of the signal.
 */
export class HttpClient {
  readonly #proxies: Proxies;
  /** Undefined where a proxy may stand between. */
  readonly #direct: DirectHttp | undefined;
  #undici: Promise<UndiciHttp> | undefined;

  /** @param env `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` */
  constructor(env: SourceEnv) {
    this.#proxies = proxiesOf(env);
    const { httpProxy, httpsProxy } = this.#proxies;
    this.#direct = httpProxy === '' && httpsProxy === '' ? new DirectHttp() : undefined;
  }

  /** Reads a reply as a whole. @throws ArtifactError `unreachable`, `unsafe`; the signal's reason. A status is the caller's to judge. */
  async send(ask: HttpAsk, signal: AbortSignal): Promise<HttpReply> {
    const reply = await this.receive(ask, () => false, noSink, signal, mostReply);
    if (!reply.whole)
      throw new ArtifactError(
        'unreachable',
        `${ask.url.origin} answered with a text that was cut, or has more than ${mostReply / 1024 / 1024} MiB.`,
      );
    return reply;
  }

  /**
   * Passes a body on as it comes, without a stream in between.
   * @param accept judges the head: false where the body is not what was asked for. What it throws ends the request.
   * @param most bytes of a body that was not accepted which are given as `text`; left out: 16 KB
   * @throws ArtifactError `unreachable`, `unsafe`; what `accept` and the sink throw; the signal's reason
   */
  async receive(ask: HttpAsk, accept: (head: HttpHead) => boolean, sink: ByteSink, signal: AbortSignal, most?: number): Promise<HttpReply> {
    return await this.#following(ask, async (at) => {
      const judge: Accept = (status, headers) => {
        const head = headOf(at.url, status, headers);
        return isRedirect(head, ask) ? false : accept(head);
      };
      const received = await this.#reached(
        at,
        signal,
        async () => (await this.#plainly(at, judge, sink, signal, most)) ?? (await this.#byUndici(at, judge, sink, signal, most)),
      );
      return { ...headOf(at.url, received.status, received.headers), ...received };
    });
  }

  /** @returns undefined: to be asked in another way */
  async #plainly(at: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal, most?: number): Promise<Received | undefined> {
    if (this.#direct === undefined) return undefined;
    return await (sink.elsewhere?.(at, signal) ?? this.#direct.receive(at, accept, sink, signal, most));
  }

  async #byUndici(at: HttpAsk, accept: Accept, sink: ByteSink, signal: AbortSignal, most?: number): Promise<Received> {
    this.#undici ??= import('./undici-http.ts').then((module) => new module.UndiciHttp(this.#proxies));
    return await (await this.#undici).receive(at, accept, sink, signal, most);
  }

  close(): void {
    this.#direct?.close();
    void this.#undici?.then((undici) => undici.close());
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
