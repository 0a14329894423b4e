import { ArtifactError } from '../artifact-error.ts';
import type { ByteSink } from '../byte-sink.ts';
import { HttpClient } from '../http.ts';
import { expectOk, statusError } from '../http-error.ts';
import { readRange } from '../read-body.ts';
import type { RemoteReference } from '../reference.ts';
import { referenceText } from '../reference.ts';
import type { ByteRange, RemoteObject, Source, SourceEnv } from '../source.ts';

type Reference = RemoteReference & { readonly kind: 'https' };

/** One file on a web server. */
export class UrlSource implements Source {
  readonly #reference: Reference;
  readonly #http: HttpClient;

  constructor(reference: Reference, env: SourceEnv) {
    this.#reference = reference;
    this.#http = new HttpClient(env);
  }

  get #remedies() {
    return { where: referenceText(this.#reference), forbidden: 'Check the link.', missing: 'Check the link.' };
  }

  async *list(signal: AbortSignal): AsyncIterable<RemoteObject> {
    const url = new URL(this.#reference.url);
    const reply = await this.#http.send({ method: 'HEAD', url, headers: { 'accept-encoding': 'identity' } }, signal);
    expectOk(reply, this.#remedies);
    const length = reply.header('content-length');
    if (length === undefined)
      throw new ArtifactError('unreadable', `${this.#remedies.where}: the server does not tell the size of the file.`);
    const etag = reply.header('etag') ?? '';
    const path = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
    // A weak one does not promise the same bytes.
    const strong = etag.startsWith('W/') ? '' : etag;
    const ranges = reply.header('accept-ranges') === 'bytes' && strong !== '';
    yield { path, key: this.#remedies.where, sizeBytes: Number(length), etag: strong, digests: {}, ranges };
  }

  async read(object: RemoteObject, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const headers = object.etag === '' ? {} : { 'if-match': object.etag };
    const ask = { url: new URL(this.#reference.url), headers };
    await readRange(this.#http, ask, object, range, (head) => statusError(head, this.#remedies), sink, signal);
  }

  close(): void {
    this.#http.close();
  }
}
