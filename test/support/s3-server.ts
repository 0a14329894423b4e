import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { storeServers } from '../../setup/stores/stores.ts';
import { StoreProcess } from './object-stores.ts';

const keys = { accessKeyId: 'AKIATESTKEY0', secretAccessKey: 'a-secret-of-forty-characters-0123456789a' };
const region = 'us-east-1';

const allow = (action: string, resource: string): object => ({
  Effect: 'Allow',
  Principal: '*',
  Action: action,
  Resource: `arn:aws:s3:::${resource}`,
});

/** A real S3 server (versitygw), which checks signatures. Skip with `skipS3` where it is not there. */
export class S3Server implements AsyncDisposable {
  readonly #process: StoreProcess;
  /** Of the owner, for what is not told of here. */
  readonly client: S3Client;

  static async start(): Promise<S3Server> {
    const process = await StoreProcess.start(storeServers.versitygw, (port, dir) => {
      for (const name of ['data', 'sidecar']) mkdirSync(join(dir, name));
      const account = ['--access', keys.accessKeyId, '--secret', keys.secretAccessKey, '--region', region];
      // Beside the files, not in their extended attributes, which not every disk has.
      return [...account, '--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', join(dir, 'sidecar'), join(dir, 'data')];
    });
    return new S3Server(process);
  }

  private constructor(process: StoreProcess) {
    this.#process = process;
    this.client = new S3Client({ endpoint: process.url, forcePathStyle: true, region, credentials: keys, maxAttempts: 1 });
  }

  get url(): string {
    return this.#process.url;
  }

  /** What a client of it needs in its environment, with the owner's keys. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: this.url,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_REGION: region,
    };
  }

  /** @param anonymous anybody may list and read it */
  async createBucket(bucket: string, { anonymous = false } = {}): Promise<void> {
    await this.client.send(new CreateBucketCommand({ Bucket: bucket }));
    if (!anonymous) return;
    const policy = { Version: '2012-10-17', Statement: [allow('s3:ListBucket', bucket), allow('s3:GetObject', `${bucket}/*`)] };
    await this.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(policy) }));
  }

  async put(bucket: string, key: string, body: Buffer): Promise<void> {
    await this.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: body.length }));
  }

  /** Puts many small objects there at once, past the protocol: each holds its name, and has no ETag. */
  plant(bucket: string, names: readonly string[]): void {
    for (const key of names) {
      const file = join(this.#process.dir, 'data', bucket, key);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
    await this.#process[Symbol.asyncDispose]();
  }
}
