import assert from 'node:assert/strict';
import { storeServers } from '../../setup/stores/stores.ts';
import { StoreProcess } from './object-stores.ts';

/** A server that speaks Google's storage API (fake-gcs-server); it asks for no credentials. Skip with `skipGcs` where it is not there. */
export class GcsServer implements AsyncDisposable {
  readonly #process: StoreProcess;

  static async start(): Promise<GcsServer> {
    const process = await StoreProcess.start(storeServers.fakeGcsServer, (port) => {
      const place = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-public-host', `127.0.0.1:${port}`];
      return [...place, '-backend', 'memory', '-log-level', 'error'];
    });
    return new GcsServer(process);
  }

  private constructor(process: StoreProcess) {
    this.#process = process;
  }

  get url(): string {
    return this.#process.url;
  }

  /** What a client of it needs in its environment. */
  get env(): Record<string, string> {
    return { STORAGE_EMULATOR_HOST: this.url };
  }

  async createBucket(bucket: string): Promise<void> {
    await this.#post('/storage/v1/b?project=test', JSON.stringify({ name: bucket }), 'application/json');
  }

  async put(bucket: string, key: string, body: Buffer): Promise<void> {
    const query = new URLSearchParams({ uploadType: 'media', name: key });
    await this.#post(`/upload/storage/v1/b/${bucket}/o?${query.toString()}`, new Uint8Array(body), 'application/octet-stream');
  }

  async #post(path: string, body: string | Uint8Array<ArrayBuffer>, type: string): Promise<void> {
    const reply = await fetch(`${this.url}${path}`, { method: 'POST', body, headers: { 'content-type': type } });
    assert.ok(reply.ok, `${path}: ${reply.status} ${await reply.text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
