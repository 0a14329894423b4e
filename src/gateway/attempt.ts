import type { Dispatcher } from 'undici';
import type { ReplicaView } from '../core/table.ts';

/** Bytes of an engine's error reply that are read; the rest is dropped. */
const maxErrorBytes = 64 * 1024;

/** What an attempt tells the exchange it belongs to. Nothing is told twice, and nothing after `ended`, `refused` or `failed`. */
export interface AttemptListener {
  /** The engine's head of a reply below 400. */
  began(status: number, contentType: string, contentLength: string | undefined): void;
  received(chunk: Buffer): void;
  ended(): void;
  /** The engine's whole reply from 400 up. */
  refused(status: number, body: string): void;
  /** The connection could not be made (`sent` false: the engine never saw the request) or broke. */
  failed(error: Error, sent: boolean): void;
  /** The engine works on the request no longer, however it went. Always comes, once, before the end is told. */
  released(): void;
}

const text = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

/** One try of a request on one replica: undici's callbacks, put in order. */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly replica: ReplicaView;
  readonly #listener: AttemptListener;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #aborted: Error | undefined;
  #released = false;
  #status = 0;
  #error: Buffer[] | undefined;
  #errorBytes = 0;

  constructor(replica: ReplicaView, listener: AttemptListener) {
    this.replica = replica;
    this.#listener = listener;
  }

  /** Ends the attempt: the engine sees its connection close, now or as soon as it is made. */
  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted === undefined) this.#sent = true;
    else controller.abort(this.#aborted);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    if (status >= 400) this.#error = [];
    else if (status >= 200)
      this.#listener.began(status, text(headers['content-type']) ?? 'application/octet-stream', text(headers['content-length']));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#error === undefined) this.#listener.received(chunk);
    else if (this.#errorBytes < maxErrorBytes) {
      this.#error.push(chunk);
      this.#errorBytes += chunk.length;
    }
  }

  onResponseEnd(): void {
    this.#release();
    if (this.#error === undefined) this.#listener.ended();
    else this.#listener.refused(this.#status, Buffer.concat(this.#error).toString('utf8', 0, maxErrorBytes));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#release();
    this.#listener.failed(error, this.#sent);
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#listener.released();
  }
}
