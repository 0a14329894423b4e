import { createHmac, hash } from 'node:crypto';
import type { SignatureV4 } from '@smithy/signature-v4';
import type { S3Client } from '@aws-sdk/client-s3';

type Data = string | ArrayBuffer | ArrayBufferView;

const bytesOf = (data: Data): Buffer => {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.from(data);
};

/** SHA-256, or its HMAC, as the signer wants it. */
class Sha256 {
  /** HMACs under secrets that are texts, by secret and data. */
  readonly #known: Map<string, Uint8Array>;
  readonly #secret: Data | undefined;
  readonly #parts: Buffer[] = [];

  constructor(known: Map<string, Uint8Array>, secret: Data | undefined) {
    this.#known = known;
    this.#secret = secret;
  }

  update(data: Data): void {
    this.#parts.push(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    const [only] = this.#parts;
    const data = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    const secret = this.#secret;
    if (secret === undefined) return hash('sha256', data, 'buffer');
    if (typeof secret !== 'string') return createHmac('sha256', bytesOf(secret)).update(data).digest();
    const name = `${secret} ${data.toString('latin1')}`;
    const digest = this.#known.get(name) ?? createHmac('sha256', secret).update(data).digest();
    this.#known.set(name, digest);
    return digest;
  }

  reset(): void {
    throw new Error('a digest is made once');
  }
}

/** For one signer, which asks for the same HMAC of its credentials with each request, to find the key that it has made of them (5.7). */
function sha256Of(): new (secret?: Data) => Sha256 {
  const known = new Map<string, Uint8Array>();
  return class extends Sha256 {
    constructor(secret?: Data) {
      super(known, secret);
    }
  };
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
  return new Signer({ service: 's3', region, credentials: config.credentials, sha256: sha256Of(), uriEscapePath: false });
}
