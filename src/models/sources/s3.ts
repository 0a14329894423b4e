import type * as ClientS3 from '@aws-sdk/client-s3';
import type { ListObjectsV2CommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { checkRange, rangeHeader } from '../content-range.ts';
import type { RemoteReference } from '../reference.ts';
import { referenceText } from '../reference.ts';
import type { ByteRange, Digests, RemoteObject, Source, SourceEnv } from '../source.ts';
import { s3Error } from './s3-error.ts';

type Reference = RemoteReference & { readonly kind: 's3' };
type Sdk = typeof ClientS3;

/** Keys that were given for this model; undefined: the SDK's chain (environment, profile, web identity, the machine's own). */
function credentialsOf({ anonymous }: Reference, env: SourceEnv): Pick<S3ClientConfig, 'credentials' | 'signer' | 'profile'> {
  // The SDK asks for credentials even of a signer that signs nothing (3.1175).
  if (anonymous) return { credentials: { accessKeyId: '', secretAccessKey: '' }, signer: { sign: async (request) => request } };
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token, AWS_PROFILE: profile } = env;
  if (id !== undefined && id !== '' && secret !== undefined)
    return {
      credentials: { accessKeyId: id, secretAccessKey: secret, ...(token === undefined || token === '' ? {} : { sessionToken: token }) },
    };
  return profile === undefined ? {} : { profile };
}

/** `AWS_ENDPOINT_URL_S3`, or `AWS_ENDPOINT_URL`: a store that speaks S3 and is not Amazon's. */
function endpointOf(env: SourceEnv): Pick<S3ClientConfig, 'endpoint' | 'forcePathStyle'> {
  const endpoint = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  return endpoint === undefined || endpoint === '' ? {} : { endpoint, forcePathStyle: true };
}

function clientConfig(reference: Reference, env: SourceEnv): S3ClientConfig {
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  return {
    ...credentialsOf(reference, env),
    ...endpointOf(env),
    region: region === undefined || region === '' ? 'us-east-1' : region,
    // Whole objects are verified once they are here; many stores that speak S3 do not know the SDK's own checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // The fetch tries again itself, and knows from which byte on.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: 15_000,
      httpsAgent: { maxSockets: 64, keepAlive: true },
      httpAgent: { maxSockets: 64, keepAlive: true },
    },
  };
}

const plainMd5 = /^[0-9a-f]{32}$/;
const bare = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '');
const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

/** A bucket of Amazon's, or of a store that speaks its protocol. The SDK is loaded with the first one. */
export class S3Source implements Source {
  readonly #reference: Reference;
  readonly #sdk: Sdk;
  readonly #client: S3Client;

  static async open(reference: Reference, env: SourceEnv): Promise<S3Source> {
    const sdk = await import('@aws-sdk/client-s3');
    return new S3Source(reference, sdk, new sdk.S3Client(clientConfig(reference, env)));
  }

  private constructor(reference: Reference, sdk: Sdk, client: S3Client) {
    this.#reference = reference;
    this.#sdk = sdk;
    this.#client = client;
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
      for (const { Key: key = '', Size: sizeBytes = 0, ETag: etag } of page.Contents ?? [])
        yield this.#object(key, key.slice(prefix.length), sizeBytes, etag);
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
  }

  async #listed(prefix: string, next: string | undefined, signal: AbortSignal): Promise<ListObjectsV2CommandOutput> {
    const ask = new this.#sdk.ListObjectsV2Command({
      Bucket: this.#reference.bucket,
      Prefix: prefix,
      ...(next === undefined ? {} : { ContinuationToken: next }),
    });
    return await this.#told(async () => await this.#client.send(ask, { abortSignal: signal }), signal);
  }

  /** The object that the reference names itself. */
  async *#single(key: string, signal: AbortSignal): AsyncIterable<RemoteObject> {
    const page = await this.#listed(key, undefined, signal);
    for (const { Key: found, Size: sizeBytes = 0, ETag: etag } of page.Contents ?? [])
      if (found === key) yield this.#object(key, key.slice(key.lastIndexOf('/') + 1), sizeBytes, etag);
  }

  #object(key: string, path: string, sizeBytes: number, etag: string | undefined): RemoteObject {
    const digest = bare(etag);
    return { path, key, sizeBytes, etag: etag ?? '', digests: plainMd5.test(digest) ? { md5: digest } : {}, ranges: true };
  }

  async *read(object: RemoteObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const header = rangeHeader(object, range);
    const ask = new this.#sdk.GetObjectCommand({
      Bucket: this.#reference.bucket,
      Key: object.key,
      ...(header === undefined ? {} : { Range: header }),
      ...(object.etag === '' ? {} : { IfMatch: object.etag }),
    });
    const reply = await this.#told(async () => await this.#client.send(ask, { abortSignal: signal }), signal);
    // In Node it is always one (SDK 3.1175).
    const body = reply.Body as unknown as Readable;
    try {
      checkRange(object, range, { contentRange: reply.ContentRange, length: reply.ContentLength });
      for await (const chunk of body) yield chunk as Uint8Array;
    } catch (thrown) {
      signal.throwIfAborted();
      throw s3Error(thrown, referenceText(this.#reference));
    } finally {
      body.destroy();
    }
  }

  /** Also says when an ETag that looks like an MD5 is none: that of an object which the store encrypts with a key of its customer's. */
  async digests(object: RemoteObject, signal: AbortSignal): Promise<Digests> {
    const ask = new this.#sdk.HeadObjectCommand({ Bucket: this.#reference.bucket, Key: object.key, ChecksumMode: 'ENABLED' });
    const head = await this.#told(async () => await this.#client.send(ask, { abortSignal: signal }), signal);
    const encrypted = head.SSECustomerAlgorithm !== undefined || (head.ServerSideEncryption ?? 'AES256') !== 'AES256';
    const whole = head.ChecksumType !== 'COMPOSITE';
    return {
      ...(encrypted ? {} : object.digests),
      ...(whole && head.ChecksumCRC32 !== undefined && !head.ChecksumCRC32.includes('-') ? { crc32: hexOf(head.ChecksumCRC32) } : {}),
      ...(whole && head.ChecksumSHA256 !== undefined && !head.ChecksumSHA256.includes('-') ? { sha256: hexOf(head.ChecksumSHA256) } : {}),
    };
  }

  close(): void {
    this.#client.destroy();
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
