import type { ServerResponse } from 'node:http';
import type { Settings } from '../settings.ts';
import { CutError } from './cut-error.ts';
import { accents } from './accent.ts';

/** Writes the events of one reply, with the fault that `sse` asks for. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #settings: Settings;
  #texts = 0;
  #release: () => void = () => undefined;

  constructor(response: ServerResponse, settings: Settings) {
    this.#response = response;
    this.#settings = settings;
    // A large write that a client leaves in the middle is never called back.
    response.once('close', () => this.#release());
  }

  async send(data: object): Promise<void> {
    await this.#write(this.#frame(JSON.stringify(data)));
  }

  /** Sends an event with text. @throws CutError where the stream's fault ends it here. */
  async sendText(data: object): Promise<void> {
    if (this.#texts === this.#settings.sse_after) await this.#disturb(data);
    this.#texts += 1;
    await this.send(data);
  }

  async done(): Promise<void> {
    if (this.#settings.sse !== 'nodone') await this.#write(this.#frame('[DONE]'));
  }

  async #disturb(data: object): Promise<void> {
    switch (this.#settings.sse) {
      case 'cut': {
        const event = this.#frame(JSON.stringify(data));
        await this.#write(event.subarray(0, Math.floor(event.length / 2)));
        this.#response.destroy();
        throw new CutError('cut in the middle of an event');
      }
      case 'error-mid':
        await this.send(this.#error());
        this.#response.end();
        throw new CutError('ended with an error event');
      case 'bigline':
        await this.#write(Buffer.from(`data: ${'x'.repeat(Math.round(this.#settings.bigline_mb * 1024 * 1024))}\n\n`));
        return;
      case 'comments':
        await this.#write(Buffer.from(': still here\n\n:\n'));
        return;
      case 'ok':
      case 'nodone':
      case 'split-utf8':
      case 'crlf':
      case 'norole':
        return;
    }
  }

  #error(): object {
    const accent = accents[this.#settings.dialect];
    const message = 'The engine met an error in the middle of the stream.';
    return accent.errorEvent(accent.errorBody(500, { message, type: 'server_error', code: 'fake_error' }));
  }

  #frame(data: string): Buffer {
    return Buffer.from(this.#settings.sse === 'crlf' ? `data: ${data}\r\n\r\n` : `data: ${data}\n\n`);
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#settings.sse !== 'split-utf8') {
      await this.#push(bytes);
      return;
    }
    const at = splitPoint(bytes);
    await this.#push(bytes.subarray(0, at));
    await this.#push(bytes.subarray(at));
  }

  /** Resolves when the bytes are with the operating system, or can never be: the end of a request is not decided here. */
  async #push(bytes: Buffer): Promise<void> {
    if (this.#response.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#release = resolve;
      this.#response.write(bytes, () => resolve());
    });
  }
}

/** Inside the first character of several bytes; else in the middle. */
function splitPoint(bytes: Buffer): number {
  const lead = bytes.findIndex((byte) => byte >= 0xc0);
  return lead === -1 ? Math.floor(bytes.length / 2) : lead + 1;
}
