import { createHash, createHmac } from 'node:crypto';
import type { SignatureV4 } from '@smithy/signature-v4';
import type { S3Client } from '@aws-sdk/client-s3';

/** SHA-256, or its HMAC, as the signer wants it. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = ArrayBuffer.isView(secret) ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength) : secret;
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', typeof key === 'string' ? key : new Uint8Array(key));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    const view = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data;
    this.#hash.update(typeof view === 'string' ? view : new Uint8Array(view));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error('a digest is made once');
  }
}

const scope = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request,/;

/**
 * A signer for requests like one that the SDK has signed: same credentials, same region, without its whole stack, which takes ten times as
 * long. Undefined where that one was signed in another way (S3 Express, signatures for several regions).
 * @param authorization the header of the SDK's
 */
export async function signerLike(authorization: string, { config }: S3Client): Promise<SignatureV4 | undefined> {
  const region = scope.exec(authorization)?.[1];
  if (region === undefined) return undefined;
  const { SignatureV4: Signer } = await import('@smithy/signature-v4');
  return new Signer({ service: 's3', region, credentials: config.credentials, sha256: Sha256, uriEscapePath: false });
}
