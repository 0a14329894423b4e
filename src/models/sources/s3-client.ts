import type * as ClientS3 from '@aws-sdk/client-s3';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { SignatureV4 } from '@smithy/signature-v4';
import type { HttpClient } from '../http.ts';
import type { RemoteReference } from '../reference.ts';
import type { SourceEnv } from '../source.ts';
import { signerLike } from './s3-signature.ts';

type Reference = RemoteReference & { readonly kind: 's3' };
export type Sdk = typeof ClientS3;

/** A request as the SDK gives it to its handler (3.1175), signed. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** Encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** A request that anybody can make, for some minutes. */
export interface SignedGet {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

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

const percent = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);

const encodedKey = (key: string): string => key.split('/').map(percent).join('/');

/** How requests for objects are made without the SDK. */
interface Way {
  /** The URL of the bucket; ends with a slash. */
  readonly base: URL;
  /** Undefined: they are not signed. */
  readonly signer: SignatureV4 | undefined;
}

function urlOf({ protocol, hostname, port, path, query = {} }: SdkRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`);
  url.search = Object.entries(query)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((each) => `${percent(name)}=${percent(String(each ?? ''))}`))
    .join('&');
  return url;
}

/** The SDK's requests over our client, so that they go by our rules: its proxies, and no time limit but that of the signal. */
function handlerOf(http: HttpClient): NonNullable<S3ClientConfig['requestHandler']> {
  return {
    handle: async (request: SdkRequest, { abortSignal }: { readonly abortSignal?: AbortSignal } = {}) => {
      const method = request.method === 'HEAD' ? 'HEAD' : 'GET';
      const ask = { method, url: urlOf(request), headers: request.headers, redirects: 'give' } as const;
      const { status, headers, text } = await http.send(ask, abortSignal ?? new AbortController().signal);
      return { response: { statusCode: status, headers, body: Buffer.from(text) } };
    },
    metadata: { handlerProtocol: 'http/1.1' },
    destroy: () => undefined,
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
}

function clientConfig(reference: Reference, env: SourceEnv, http: HttpClient): S3ClientConfig {
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
    requestHandler: handlerOf(http),
  };
}

/** What the SDK calls of its stack, as far as it is used here. */
interface Step {
  readonly request: SdkRequest;
}

const takeSigned =
  (next: (step: Step) => Promise<unknown>, { commandName }: { readonly commandName?: string }) =>
  async (step: Step): Promise<unknown> =>
    commandName === 'GetObjectCommand' ? { response: {}, output: { $metadata: {}, signed: step.request } } : await next(step);

/**
 * The SDK for what it knows best: endpoints, credentials, signatures, listings. Bytes of objects do not go through it: a request for them is
 * signed, and taken off its stack before it would be sent.
 */
export class S3Signer {
  readonly client: S3Client;
  readonly #sdk: Sdk;
  readonly #bucket: string;
  #way: Promise<Way | undefined> | undefined;

  constructor(sdk: Sdk, reference: Reference, env: SourceEnv, http: HttpClient) {
    this.#sdk = sdk;
    this.#bucket = reference.bucket;
    this.client = new sdk.S3Client(clientConfig(reference, env, http));
    this.client.middlewareStack.addRelativeTo(takeSigned as never, {
      name: 'takeSigned',
      relation: 'after',
      toMiddleware: 'httpSigningMiddleware',
    });
  }

  /** @throws what the SDK says of credentials and regions */
  async signGet(key: string, conditions: Readonly<Record<string, string>>, signal: AbortSignal): Promise<SignedGet> {
    this.#way ??= this.#learn(key, signal).catch((thrown: unknown) => {
      // Credentials may come later, and who asked first may have left.
      this.#way = undefined;
      throw thrown;
    });
    const way = await this.#way;
    if (way === undefined) return await this.#bySdk(key, conditions, signal);
    const { base, signer } = way;
    const url = new URL(base.pathname + encodedKey(key), base);
    const { host, hostname, port, pathname: path, protocol } = url;
    const headers = { ...conditions, host };
    if (signer === undefined) return { url, headers };
    const place = port === '' ? {} : { port: Number(port) };
    const signingDate = new Date(Date.now() + this.client.config.systemClockOffset);
    const signed = await signer.sign({ method: 'GET', protocol, hostname, ...place, path, query: {}, headers }, { signingDate });
    return { url, headers: signed.headers };
  }

  /** How the SDK would do it, from one request that it signs; undefined where each must be asked of it. */
  async #learn(key: string, signal: AbortSignal): Promise<Way | undefined> {
    const { url, headers } = await this.#bySdk(key, {}, signal);
    const end = encodedKey(key);
    if (!url.pathname.endsWith(`/${end}`)) return undefined;
    const base = new URL(url.pathname.slice(0, -end.length), url);
    const authorization = headers['authorization'];
    if (authorization === undefined) return { base, signer: undefined };
    const signer = await signerLike(authorization, this.client);
    return signer === undefined ? undefined : { base, signer };
  }

  async #bySdk(key: string, conditions: Readonly<Record<string, string>>, signal: AbortSignal): Promise<SignedGet> {
    const { range, 'if-match': ifMatch } = conditions;
    const ask = new this.#sdk.GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ...(range === undefined ? {} : { Range: range }),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    });
    const { signed } = (await this.client.send(ask, { abortSignal: signal })) as unknown as { readonly signed: SdkRequest };
    return { url: urlOf(signed), headers: signed.headers };
  }

  close(): void {
    this.client.destroy();
  }
}
