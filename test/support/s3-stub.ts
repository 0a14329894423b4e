import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request is answered with instead of what it asked for; undefined: as it should be. */
export type Fault =
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly headers?: Record<string, string>;
      readonly extra?: string;
    }
  /** The connection breaks after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Nothing comes after so many bytes of the body. */
  | { readonly kind: 'stall'; readonly after: number }
  /** The byte at this place of the object is another one. */
  | { readonly kind: 'flip'; readonly at: number };

export interface SeenRequest {
  readonly method: string;
  /** Key of the object; undefined for a listing. */
  readonly key: string | undefined;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

export interface StubObject {
  readonly key: string;
  readonly body: Buffer;
  /** Default: the MD5 of the body, as a store has it for what came in one piece. */
  readonly etag?: string;
  readonly headers?: Record<string, string>;
}

const escaped = (text: string): string =>
  text
    .replaceAll(/[&<>]/g, (each) => ({ '&': '&amp;', '<': '&lt;' })[each] ?? '&gt;')
    .replaceAll(/\p{Cc}/gu, (each) => `&#${each.charCodeAt(0)};`);
const md5 = (body: Buffer): string => createHash('md5').update(body).digest('hex');

/** A store that speaks as much of S3 as is read of it, checks no signature, and fails on cue. One bucket, `bucket`. */
export class S3Stub implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    this.#answer(request, response);
  });
  readonly #objects = new Map<string, StubObject>();
  readonly seen: SeenRequest[] = [];
  /** Bytes of bodies of objects that were given to the socket. */
  sentBytes = 0;
  pageSize = 1000;
  fault: (request: SeenRequest, nth: number) => Fault | undefined = () => undefined;
  /** Awaited before each block of 64 KB. */
  pace: () => Promise<void> = async () => undefined;

  static async start(objects: readonly StubObject[] = []): Promise<S3Stub> {
    const stub = new S3Stub();
    for (const object of objects) stub.put(object);
    await new Promise<void>((resolve) => stub.#server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  put(object: StubObject): void {
    this.#objects.set(object.key, object);
  }

  delete(key: string): void {
    this.#objects.delete(key);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client of it needs in its environment. */
  get env(): Record<string, string> {
    return { AWS_ENDPOINT_URL: this.url, AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'eu-north-1' };
  }

  /** Requests for bodies of objects. */
  get reads(): readonly SeenRequest[] {
    return this.seen.filter(({ method, key }) => method === 'GET' && key !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://stub');
    const [, bucket = '', ...rest] = url.pathname.split('/');
    const key = rest.map(decodeURIComponent).join('/');
    const { range, authorization } = request.headers;
    const seen: SeenRequest = {
      method: request.method ?? '',
      key: key === '' ? undefined : key,
      range,
      authorization,
      headers: request.headers,
    };
    this.seen.push(seen);
    const fault = this.fault(seen, this.seen.length);
    if (fault?.kind === 'error') this.#error(response, fault);
    else if (bucket !== 'bucket') this.#error(response, { kind: 'error', status: 404, code: 'NoSuchBucket' });
    else if (key === '') this.#list(url.searchParams, response);
    else void this.#read(request, key, response, fault);
  }

  #error(response: ServerResponse, { status, code, headers, extra = '' }: Fault & { kind: 'error' }): void {
    response.writeHead(status, { 'content-type': 'application/xml', ...headers });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message>${extra}</Error>`);
  }

  #etag({ etag, body }: StubObject): string {
    return `"${etag ?? md5(body)}"`;
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const after = query.get('continuation-token') ?? '';
    const matching = [...this.#objects.values()]
      .filter(({ key }) => key.startsWith(query.get('prefix') ?? '') && key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const page = matching.slice(0, this.pageSize);
    const more = matching.length > page.length;
    const items = page.map(
      (object) =>
        `<Contents><Key>${escaped(object.key)}</Key><Size>${object.body.length}</Size><ETag>${this.#etag(object)}</ETag></Contents>`,
    );
    const next = more ? `<NextContinuationToken>${escaped(page.at(-1)?.key ?? '')}</NextContinuationToken>` : '';
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${items.join('')}</ListBucketResult>`);
  }

  async #read(request: IncomingMessage, key: string, response: ServerResponse, fault: Fault | undefined): Promise<void> {
    const object = this.#objects.get(key);
    if (object === undefined) return this.#error(response, { kind: 'error', status: 404, code: 'NoSuchKey' });
    const match = request.headers['if-match'];
    if (match !== undefined && match !== this.#etag(object))
      return this.#error(response, { kind: 'error', status: 412, code: 'PreconditionFailed' });
    const { body } = object;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = to === undefined ? body.length : Number(to) + 1;
    const whole = from === undefined;
    response.writeHead(whole ? 200 : 206, {
      etag: this.#etag(object),
      'accept-ranges': 'bytes',
      'content-length': end - start,
      ...(whole ? {} : { 'content-range': `bytes ${start}-${end - 1}/${body.length}` }),
      ...object.headers,
    });
    if (request.method === 'HEAD') response.end();
    else await this.#send(response, body, { start, end }, fault);
  }

  async #send(response: ServerResponse, body: Buffer, range: { start: number; end: number }, fault: Fault | undefined): Promise<void> {
    const limit = fault?.kind === 'cut' || fault?.kind === 'stall' ? Math.min(range.end, range.start + fault.after) : range.end;
    for (let at = range.start; at < limit; at += 65_536) {
      await this.pace();
      if (response.destroyed) return;
      const block = Buffer.from(body.subarray(at, Math.min(limit, at + 65_536)));
      if (fault?.kind === 'flip' && fault.at >= at && fault.at < at + block.length)
        block[fault.at - at] = ((block[fault.at - at] ?? 0) + 1) % 256;
      this.sentBytes += block.length;
      const { promise, resolve } = Promise.withResolvers<void>();
      response.once('close', resolve);
      response.write(block, () => {
        resolve();
      });
      await promise;
      response.off('close', resolve);
    }
    if (limit === range.end) response.end();
    else if (fault?.kind === 'cut') response.destroy();
  }
}
