import type { Dispatcher } from 'undici';

/** Takes the bytes of a body as they come. A promise holds the sender back until it is settled; what it throws ends the request. */
export type TakeBytes = (chunk: Uint8Array) => Promise<void> | undefined;

export interface Received {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  /** The beginning of a body that was not accepted. */
  readonly text: string;
}

const mostText = 16 * 1024;

/** One reply, by undici's callbacks: its body goes to `take`, or is read as the text of a refusal. */
export class BodyReceiver implements Dispatcher.DispatchHandler {
  /** Settles when the request is over, whatever it ends with. */
  readonly done: Promise<Received>;
  readonly #accept: (status: number, headers: Received['headers']) => boolean;
  readonly #take: TakeBytes;
  readonly #signal: AbortSignal;
  readonly #settled = Promise.withResolvers<Received>();
  readonly #text: Buffer[] = [];
  #textBytes = 0;
  #leave: () => void = () => undefined;
  #accepted = false;
  #status = 0;
  #headers: Received['headers'] = {};

  constructor(accept: (status: number, headers: Received['headers']) => boolean, take: TakeBytes, signal: AbortSignal) {
    this.#accept = accept;
    this.#take = take;
    this.#signal = signal;
    this.done = this.#settled.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const leave = (): void => {
      controller.abort(this.#signal.reason as Error);
    };
    if (this.#signal.aborted) {
      leave();
      return;
    }
    this.#signal.addEventListener('abort', leave, { once: true });
    this.#leave = () => {
      this.#signal.removeEventListener('abort', leave);
    };
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Received['headers']): void {
    this.#status = status;
    this.#headers = headers;
    try {
      this.#accepted = this.#accept(status, headers);
    } catch (thrown) {
      controller.abort(thrown as Error);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#accepted) {
      if (this.#textBytes < mostText) this.#text.push(chunk);
      this.#textBytes += chunk.length;
      return;
    }
    try {
      const full = this.#take(chunk);
      if (full === undefined) return;
      controller.pause();
      void this.#hold(controller, full);
    } catch (thrown) {
      controller.abort(thrown as Error);
    }
  }

  async #hold(controller: Dispatcher.DispatchController, full: Promise<void>): Promise<void> {
    try {
      await full;
      controller.resume();
    } catch (thrown) {
      controller.abort(thrown as Error);
    }
  }

  onResponseEnd(): void {
    this.#leave();
    this.#settled.resolve({
      status: this.#status,
      headers: this.#headers,
      text: Buffer.concat(this.#text).toString('utf8', 0, mostText),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    this.#settled.reject(error);
  }
}
