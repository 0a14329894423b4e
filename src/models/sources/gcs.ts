import { messageOf } from '../../core/errors.ts';
import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import { ArtifactError } from '../artifact-error.ts';
import type { ByteSink } from '../byte-sink.ts';
import { HttpClient } from '../http.ts';
import type { HttpHead } from '../http-head.ts';
import { expectOk, statusError } from '../http-error.ts';
import type { Remedies } from '../http-error.ts';
import { readRange } from '../read-body.ts';
import type { RemoteReference } from '../reference.ts';
import { referenceText } from '../reference.ts';
import type { ByteRange, RemoteObject, Source, SourceEnv } from '../source.ts';

type Reference = RemoteReference & { readonly kind: 'gs' };

/** The most that the store gives at once. */
const pageObjects = 1000;

const page = z.object({
  items: z
    .array(
      z.object({
        name: z.string(),
        size: z.string().regex(/^\d+$/),
        generation: z.string().regex(/^\d+$/),
        md5Hash: z.string().optional(),
      }),
    )
    .default([]),
  prefixes: z.array(z.string()).default([]),
  nextPageToken: z.string().optional(),
});

/** The value of `Authorization` for requests that begin now. */
type Authorize = () => Promise<string | undefined>;

/** Google's own chain: a key file, the login of its tool, or the machine's account. Its library is loaded with the first bucket. */
async function defaultCredentials(env: SourceEnv): Promise<Authorize> {
  const { GoogleAuth } = await import('google-auth-library');
  const keyFilename = env['GOOGLE_APPLICATION_CREDENTIALS'];
  const auth = new GoogleAuth({
    scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
    ...(keyFilename === undefined || keyFilename === '' ? {} : { keyFilename }),
  });
  return async () => {
    const token = await auth.getAccessToken();
    return `Bearer ${token ?? ''}`;
  };
}

/** A bucket of Google's, by its JSON API. `STORAGE_EMULATOR_HOST`: another server that speaks it, without credentials. */
export class GcsSource implements Source {
  readonly #reference: Reference;
  readonly #origin: string;
  readonly #authorize: Authorize;
  readonly #http: HttpClient;

  static async open(reference: Reference, env: SourceEnv): Promise<GcsSource> {
    const emulator = env['STORAGE_EMULATOR_HOST'];
    if (emulator !== undefined && emulator !== '') {
      const origin = emulator.includes('://') ? emulator.replace(/\/+$/, '') : `http://${emulator}`;
      return new GcsSource(reference, origin, async () => undefined, env);
    }
    const authorize: Authorize = reference.anonymous ? async () => undefined : await defaultCredentials(env);
    return new GcsSource(reference, 'https://storage.googleapis.com', authorize, env);
  }

  private constructor(reference: Reference, origin: string, authorize: Authorize, env: SourceEnv) {
    this.#http = new HttpClient(env);
    this.#reference = reference;
    this.#origin = origin;
    this.#authorize = authorize;
  }

  get #remedies(): Remedies {
    return {
      where: referenceText(this.#reference),
      forbidden: 'The account needs storage.objects.list and storage.objects.get there; write gs://anonymous@… for a public bucket.',
      missing: 'Check the bucket and the prefix.',
    };
  }

  async *list(signal: AbortSignal): AsyncIterable<RemoteObject> {
    const { prefix } = this.#reference;
    let any = false;
    const folder = prefix === '' ? '' : `${prefix}/`;
    for await (const object of this.#below(folder, folder.length, signal)) {
      any = true;
      yield object;
    }
    if (any || prefix === '') return;
    for await (const object of this.#below(prefix, prefix.lastIndexOf('/') + 1, signal)) {
      if (object.key === prefix) yield object;
      // In order of their names, the one that is meant comes first.
      return;
    }
  }

  async *names(signal: AbortSignal): AsyncIterable<string> {
    const prefix = this.#reference.prefix === '' ? '' : `${this.#reference.prefix}/`;
    for await (const { prefixes, items } of this.#pages(prefix, signal, '/')) {
      for (const folder of prefixes) yield folder.slice(prefix.length);
      for (const { name } of items) if (name !== prefix) yield name.slice(prefix.length);
    }
  }

  async *#below(prefix: string, strip: number, signal: AbortSignal): AsyncIterable<RemoteObject> {
    for await (const { items } of this.#pages(prefix, signal))
      for (const { name, size, generation, md5Hash } of items) {
        const digests = md5Hash === undefined ? {} : { md5: Buffer.from(md5Hash, 'base64').toString('hex') };
        yield { path: name.slice(strip), key: name, sizeBytes: Number(size), etag: generation, digests, ranges: true };
      }
  }

  async *#pages(prefix: string, signal: AbortSignal, delimiter?: string): AsyncIterable<z.infer<typeof page>> {
    let token: string | undefined;
    do {
      const url = new URL(`${this.#origin}/storage/v1/b/${encodeURIComponent(this.#reference.bucket)}/o`);
      url.search = new URLSearchParams({
        prefix,
        maxResults: String(pageObjects),
        fields: 'items(name,size,generation,md5Hash),prefixes,nextPageToken',
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(token === undefined ? {} : { pageToken: token }),
      }).toString();
      const reply = await this.#http.send({ method: 'GET', url, headers: {}, authorization: await this.#authorization() }, signal);
      expectOk(reply, this.#remedies);
      const parsed = page.safeParse(parseJson(reply.text));
      if (!parsed.success)
        throw new ArtifactError(
          'unreadable',
          `${this.#remedies.where}: ${this.#origin} does not answer as Google's storage does.`,
          parsed.error,
        );
      yield parsed.data;
      token = parsed.data.nextPageToken;
    } while (token !== undefined && token !== '');
  }

  async read(object: RemoteObject, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const url = new URL(`${this.#origin}/storage/v1/b/${encodeURIComponent(this.#reference.bucket)}/o/${encodeURIComponent(object.key)}`);
    // A generation that was replaced is not found, or is still the same bytes: never another file's.
    url.search = new URLSearchParams({ alt: 'media', generation: object.etag }).toString();
    const ask = { url, headers: {}, authorization: await this.#authorization() };
    const refuse = (head: HttpHead): ArtifactError =>
      head.status === 404
        ? new ArtifactError('changed', `${this.#remedies.where}: ${object.key} was replaced while it was fetched.`)
        : statusError(head, this.#remedies);
    await readRange(this.#http, ask, object, range, refuse, sink, signal);
  }

  close(): void {
    this.#http.close();
  }

  async #authorization(): Promise<string | undefined> {
    try {
      return await this.#authorize();
    } catch (thrown) {
      throw new ArtifactError(
        'credentials',
        `${this.#remedies.where}: there are no credentials: ${messageOf(thrown)}. Set GOOGLE_APPLICATION_CREDENTIALS, run "gcloud auth application-default login", or write gs://anonymous@… for a public bucket.`,
        thrown,
      );
    }
  }
}
