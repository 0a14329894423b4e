import type { Dispatcher } from 'undici';
import { pour } from './byte-sink.ts';
import type { ByteSink } from './byte-sink.ts';
import type { RawHeaders } from './http-head.ts';

/** Judges a head: false where the body is not what was asked for. What it throws ends the request. */
export type Accept = (status: number, headers: RawHeaders) => boolean;

export interface Received {
  readonly status: number;
  readonly headers: RawHeaders;
  /** Of a body that was not accepted, its beginning. */
  readonly text: string;
  /** That is all of it. */
  readonly whole: boolean;
}

/** Read of a refusal, in bytes. */
export const mostText = 16 * 1024;

/** One reply, by undici's callbacks: its body goes to the sink, or is read as the text of a refusal. */
export class BodyReceiver implements Dispatcher.DispatchHandler {
  /** Settles when the request is over, whatever it ends with. */
  readonly done: Promise<Received>;
  readonly #accept: Accept;
  readonly #sink: ByteSink;
  readonly #signal: AbortSignal;
  readonly #most: number;
  readonly #settled = Promise.withResolvers<Received>();
  readonly #text: Buffer[] = [];
  #textBytes = 0;
  #leave: () => void = () => undefined;
  #accepted = false;
  #status = 0;
  #headers: RawHeaders = {};

  /** @param most bytes of a body that is not accepted which are kept */
  constructor(accept: Accept, sink: ByteSink, signal: AbortSignal, most = mostText) {
    this.#accept = accept;
    this.#sink = sink;
    this.#signal = signal;
    this.#most = most;
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

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
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
      if (this.#textBytes < this.#most) this.#text.push(chunk);
      this.#textBytes += chunk.length;
      return;
    }
    try {
      const full = pour(this.#sink, chunk);
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
      text: Buffer.concat(this.#text).toString('utf8', 0, this.#most),
      whole: this.#textBytes <= this.#most,
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    this.#settled.reject(error);
  }
}
