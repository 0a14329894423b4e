import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { ArtifactError } from '../artifact-error.ts';
import type { ByteSink } from '../byte-sink.ts';
import { rangeHeader } from '../content-range.ts';
import { HttpClient } from '../http.ts';
import type { HttpHead } from '../http-head.ts';
import { readRange } from '../read-body.ts';
import type { RemoteReference } from '../reference.ts';
import { referenceText } from '../reference.ts';
import type { ByteRange, Digests, RemoteObject, Source, SourceEnv } from '../source.ts';
import { S3Signer } from './s3-client.ts';
import type { Sdk } from './s3-client.ts';
import { s3Error, s3Refusal } from './s3-error.ts';

type Reference = RemoteReference & { readonly kind: 's3' };

const plainMd5 = /^[0-9a-f]{32}$/;
const bare = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '');
/** V8 keeps a part of a text by keeping the text: a name would hold the whole page of the listing that it was read from. */
const copied = (text: string): string => Buffer.from(text).toString();
const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

/** A bucket of Amazon's, or of a store that speaks its protocol. The SDK is loaded with the first one. */
export class S3Source implements Source {
  readonly #reference: Reference;
  readonly #sdk: Sdk;
  readonly #http: HttpClient;
  readonly #signer: S3Signer;

  static async open(reference: Reference, env: SourceEnv): Promise<S3Source> {
    return new S3Source(reference, await import('@aws-sdk/client-s3'), env);
  }

  private constructor(reference: Reference, sdk: Sdk, env: SourceEnv) {
    this.#reference = reference;
    this.#sdk = sdk;
    this.#http = new HttpClient(env);
    this.#signer = new S3Signer(sdk, reference, env, this.#http);
  }

  async *list(signal: AbortSignal): AsyncIterable<RemoteObject> {
    const { prefix } = this.#reference;
    let any = false;
    for await (const object of this.#below(prefix === '' ? '' : `${prefix}/`, signal)) {
      any = true;
      yield object;
    }
    if (!any && prefix !== '') yield* this.#single(prefix, signal);
  }

  async *#below(prefix: string, signal: AbortSignal): AsyncIterable<RemoteObject> {
    let next: string | undefined;
    do {
      const page = await this.#listed(prefix, next, signal);
      for (const { Key = '', Size: sizeBytes = 0, ETag: etag } of page.Contents ?? []) {
        const key = copied(Key);
        yield this.#object(key, key.slice(prefix.length), sizeBytes, etag);
      }
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
  }

  async *names(signal: AbortSignal): AsyncIterable<string> {
    const prefix = this.#reference.prefix === '' ? '' : `${this.#reference.prefix}/`;
    let next: string | undefined;
    do {
      const page = await this.#listed(prefix, next, signal, '/');
      for (const { Prefix: folder = '' } of page.CommonPrefixes ?? []) yield folder.slice(prefix.length);
      for (const { Key: key = '' } of page.Contents ?? []) if (key !== prefix) yield key.slice(prefix.length);
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
  }

  async #listed(prefix: string, next: string | undefined, signal: AbortSignal, delimiter?: string): Promise<ListObjectsV2CommandOutput> {
    const ask = new this.#sdk.ListObjectsV2Command({
      Bucket: this.#reference.bucket,
      Prefix: prefix,
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(next === undefined ? {} : { ContinuationToken: next }),
    });
    return await this.#told(async () => await this.#signer.client.send(ask, { abortSignal: signal }), signal);
  }

  /** The object that the reference names itself. */
  async *#single(key: string, signal: AbortSignal): AsyncIterable<RemoteObject> {
    const page = await this.#listed(key, undefined, signal);
    for (const { Key: found, Size: sizeBytes = 0, ETag: etag } of page.Contents ?? [])
      if (found === key) yield this.#object(key, key.slice(key.lastIndexOf('/') + 1), sizeBytes, etag);
  }

  #object(key: string, path: string, sizeBytes: number, etag: string | undefined): RemoteObject {
    const digest = copied(bare(etag));
    return { path, key, sizeBytes, etag: copied(etag ?? ''), digests: plainMd5.test(digest) ? { md5: digest } : {}, ranges: true };
  }

  async read(object: RemoteObject, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const { key, etag } = object;
    const wanted = rangeHeader(object, range);
    const conditions = { ...(wanted === undefined ? {} : { range: wanted }), ...(etag === '' ? {} : { 'if-match': etag }) };
    const { url, headers } = await this.#told(async () => await this.#signer.signGet(key, conditions, signal), signal);
    const refuse = (head: HttpHead, text: string): ArtifactError => s3Error(s3Refusal(head, text), referenceText(this.#reference));
    await readRange(this.#http, { url, headers, redirects: 'give' }, object, range, refuse, sink, signal);
  }

  /** Also says when an ETag that looks like an MD5 is none: that of an object which the store encrypts with a key of its customer's. */
  async digests(object: RemoteObject, signal: AbortSignal): Promise<Digests> {
    const ask = new this.#sdk.HeadObjectCommand({ Bucket: this.#reference.bucket, Key: object.key, ChecksumMode: 'ENABLED' });
    const head = await this.#told(async () => await this.#signer.client.send(ask, { abortSignal: signal }), signal);
    const encrypted = head.SSECustomerAlgorithm !== undefined || (head.ServerSideEncryption ?? 'AES256') !== 'AES256';
    const whole = head.ChecksumType !== 'COMPOSITE';
    return {
      ...(encrypted ? {} : object.digests),
      ...(whole && head.ChecksumCRC32 !== undefined && !head.ChecksumCRC32.includes('-') ? { crc32: hexOf(head.ChecksumCRC32) } : {}),
      ...(whole && head.ChecksumSHA256 !== undefined && !head.ChecksumSHA256.includes('-') ? { sha256: hexOf(head.ChecksumSHA256) } : {}),
    };
  }

  close(): void {
    this.#signer.close();
    this.#http.close();
  }

  async #told<T>(send: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await send();
    } catch (thrown) {
      signal.throwIfAborted();
      throw s3Error(thrown, referenceText(this.#reference));
    }
  }
}
