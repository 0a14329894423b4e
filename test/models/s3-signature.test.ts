import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { S3Client } from '@aws-sdk/client-s3';
import { signerLike } from '../../src/models/sources/s3-signature.ts';

const like = (region: string, service = 's3'): string =>
  `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('a signer like the one of the SDK', () => {
  // The example of Amazon's documentation of the signature, version 4: GET of the first ten bytes of test.txt.
  it('signs as Amazon says that it is to be done, each time, also with other credentials between', async () => {
    const [first, second] = await Promise.all(
      [credentials, { ...credentials, accessKeyId: 'AKIDOTHER', secretAccessKey: 'another' }].map(
        async (each) => await signerLike(like('us-east-1'), new S3Client({ region: 'us-east-1', credentials: each })),
      ),
    );
    const ask = {
      method: 'GET',
      protocol: 'https:',
      hostname: 'examplebucket.s3.amazonaws.com',
      path: '/test.txt',
      query: {},
      headers: { host: 'examplebucket.s3.amazonaws.com', range: 'bytes=0-9', 'x-amz-content-sha256': empty },
    };
    const signingDate = new Date('2013-05-24T00:00:00Z');
    const signature = async (signer: typeof first): Promise<string | undefined> =>
      /Signature=([0-9a-f]{64})$/.exec((await signer?.sign(ask, { signingDate }))?.headers['authorization'] ?? '')?.[1];
    const wanted = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    assert.equal(await signature(first), wanted);
    const other = await signature(second);
    assert.notEqual(other, wanted);
    assert.deepEqual([await signature(first), await signature(second)], [wanted, other]);
  });

  it('is not made like a signature of another kind', async () => {
    const client = new S3Client({ region: 'us-east-1', credentials });
    assert.equal(await signerLike(like('us-east-1', 's3express'), client), undefined);
    assert.equal(await signerLike('AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20150830/s3/aws4_request,', client), undefined);
  });
});
