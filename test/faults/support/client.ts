import { Agent, request } from 'undici';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** `error.code` of the body; undefined where it has none. */
  readonly code: string | undefined;
  readonly message: string;
}

export interface Stream {
  readonly status: number;
  /** Resolves with all text received once it has `pattern`. @throws Error if the stream ends without */
  until(pattern: RegExp): Promise<string>;
  /** All text, once the stream has ended or broken. */
  rest(): Promise<string>;
  /** Leaves. */
  leave(): void;
}

/** How long a stream's text is waited for: heartbeats alone would keep it open. */
const streamPatienceMs = 90_000;

/** A client that keeps no connection open, so that it holds no descriptor of the gateway's after a reply, and counts what it sends. */
export class CountingClient {
  readonly #url: string;
  readonly #agent = new Agent({ pipelining: 0, headersTimeout: 60_000, bodyTimeout: 60_000 });
  /** Requests sent to routes that are counted. */
  sent = 0;

  constructor(url: string) {
    this.#url = url;
  }

  async ask(model: string, more: object = {}): Promise<Reply> {
    const { statusCode, headers, body } = await this.#post(model, more);
    const text = await body.text();
    return { status: statusCode, headers, text, ...errorOf(text) };
  }

  async get(path: string): Promise<Reply> {
    this.sent += 1;
    const { statusCode, headers, body } = await request(this.#url + path, { dispatcher: this.#agent });
    const text = await body.text();
    return { status: statusCode, headers, text, ...errorOf(text) };
  }

  async stream(model: string, more: object = {}): Promise<Stream> {
    const { statusCode, body } = await this.#post(model, { stream: true, ...more });
    let text = '';
    let ended = false;
    const waiters = new Set<() => void>();
    const look = (): void => waiters.forEach((waiter) => waiter());
    body.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      look();
    });
    const over = new Promise<void>((resolve) => {
      // A broken connection is an end too: what came before it is what the test looks at.
      body.once('error', () => resolve());
      body.once('close', () => resolve());
    });
    void over.then(() => {
      ended = true;
      return look();
    });
    return {
      status: statusCode,
      until: (pattern) =>
        new Promise((resolve, reject) => {
          // Before the row's own limit, which would not tell what was waited for.
          const late = setTimeout(
            () => settle(new Error(`no ${String(pattern)} in ${streamPatienceMs} ms, only:\n${text}`)),
            streamPatienceMs,
          );
          const settle = (failure?: Error): void => {
            clearTimeout(late);
            waiters.delete(waiter);
            if (failure === undefined) resolve(text);
            else reject(failure);
          };
          const waiter = (): void => {
            if (pattern.test(text)) settle();
            else if (ended) settle(new Error(`the stream ended without ${String(pattern)}:\n${text}`));
          };
          waiters.add(waiter);
          waiter();
        }),
      rest: async () => {
        await over;
        return text;
      },
      leave: () => body.destroy(),
    };
  }

  /** A request whose reply nobody will see: the returned function leaves. */
  begin(model: string, more: object = {}): () => void {
    const left = new AbortController();
    // Left before the reply: that is the point.
    this.#post(model, more, left.signal).catch(() => undefined);
    return () => left.abort();
  }

  async #post(model: string, more: object, signal?: AbortSignal): ReturnType<typeof request> {
    this.sent += 1;
    return request(`${this.#url}/v1/chat/completions`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'one two three' }], ...more }),
      signal: signal ?? null,
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function errorOf(text: string): { readonly code: string | undefined; readonly message: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: string; message?: string } };
    return { code: error?.code, message: error?.message ?? '' };
  } catch {
    return { code: undefined, message: '' };
  }
}
