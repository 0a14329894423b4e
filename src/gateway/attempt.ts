import type { Dispatcher } from 'undici';
import type { ReplicaView } from '../core/table.ts';
import type { Verdict } from './breaker.ts';

/** Bytes of an engine's error reply that are read; the rest is dropped. */
const maxErrorBytes = 64 * 1024;

/** What an attempt tells the exchange it belongs to. Nothing is told twice, and nothing after `ended`, `refused` or `failed`. */
export interface AttemptListener {
  /** The engine's head of a reply below 400. */
  began(status: number, contentType: string, contentLength: string | undefined): void;
  received(chunk: Buffer): void;
  /** What a reply below 400, now that it is whole, shows of the replica. Asked once, before `released`; then `ended` is told. */
  judged(): Verdict;
  ended(): void;
  /** The engine's whole reply from 400 up. */
  refused(status: number, body: string): void;
  /** The connection could not be made (`sent` false: the engine never saw the request) or broke. */
  failed(error: Error, sent: boolean): void;
  /** The engine works on the request no longer, however it went. Always comes, once, before the end is told. */
  released(verdict: Verdict): void;
}

const text = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

/** What a status shows of the replica that gave it. */
export function verdictOf(status: number): Verdict {
  if (status === 429 || status === 503) return 'busy';
  if (status >= 500) return 'failed';
  return status >= 400 ? 'unknown' : 'ok';
}

/** One try of a request on one replica: undici's callbacks, put in order. */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly replica: ReplicaView;
  readonly #listener: AttemptListener;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #aborted: Error | undefined;
  #blamed = false;
  #released = false;
  #discarded = false;
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

  /** To be called before `abort` where that is the replica's fault. */
  blame(): void {
    this.#blamed = true;
  }

  /** Ends the attempt because the engine's reply is of no use: `released` is told at once, and nothing more. */
  discard(reason: Error, verdict: Verdict): void {
    this.#discarded = true;
    this.#release(verdict);
    this.abort(reason);
  }

  /** Whether the engine may be working on the request. */
  get working(): boolean {
    return this.#sent && !this.#released;
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
    if (this.#discarded) return;
    if (this.#error === undefined) this.#listener.received(chunk);
    else if (this.#errorBytes < maxErrorBytes) {
      this.#error.push(chunk);
      this.#errorBytes += chunk.length;
    }
  }

  onResponseEnd(): void {
    this.#release(this.#discarded || this.#error !== undefined ? verdictOf(this.#status) : this.#listener.judged());
    if (this.#discarded) return;
    if (this.#error === undefined) this.#listener.ended();
    else this.#listener.refused(this.#status, Buffer.concat(this.#error).toString('utf8', 0, maxErrorBytes));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#release(this.#aborted === undefined || this.#blamed ? 'failed' : 'unknown');
    if (!this.#discarded) this.#listener.failed(error, this.#sent);
  }

  #release(verdict: Verdict): void {
    if (this.#released) return;
    this.#released = true;
    this.#listener.released(verdict);
  }
}
