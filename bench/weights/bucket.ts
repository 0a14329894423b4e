import { randomBytes } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { s5cmd } from '../../setup/stores/s5cmd.ts';
import { programOf } from '../../setup/stores/store-server.ts';
import { storeServers } from '../../setup/stores/stores.ts';
import { freePort, Launched, untilAnswering } from '../systems/process.ts';
import { runTool } from './run-tool.ts';

const keys = { AWS_ACCESS_KEY_ID: 'AKIABENCHKEY', AWS_SECRET_ACCESS_KEY: 'a-secret-of-forty-characters-0123456789a' };

/** A set of objects below one prefix. */
export interface Load {
  readonly prefix: string;
  readonly files: number;
  readonly fileBytes: number;
}

/** A real S3 server on this machine, with one bucket, `bench`. */
export interface Bucket {
  readonly endpoint: string;
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startBucket(dir: string, signal: AbortSignal): Promise<Bucket> {
  for (const name of ['data', 'sidecar']) await mkdir(join(dir, name), { recursive: true });
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const env = { ...keys, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL: endpoint };
  const account = ['--access', keys.AWS_ACCESS_KEY_ID, '--secret', keys.AWS_SECRET_ACCESS_KEY, '--port', `127.0.0.1:${port}`];
  const server = await Launched.start(
    'versitygw',
    [
      programOf(storeServers.versitygw, process.env),
      ...account,
      '--quiet',
      // As Amazon's does; it is off unless asked for.
      '--keep-alive',
      '--health',
      '/health',
      'posix',
      '--sidecar',
      join(dir, 'sidecar'),
      join(dir, 'data'),
    ],
    { ipc: false },
  );
  await untilAnswering(`${endpoint}/health`, server, signal);
  const s5 = [programOf(s5cmd, process.env), '--log=error', `--endpoint-url=${endpoint}`] as const;
  await runTool('s5cmd mb', ['env', ...pairs(env), ...s5, 'mb', 's3://bench'], signal);
  return { endpoint, env, stop: async () => await server.stop(1000) };
}

export const pairs = (env: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(env).map(([name, value]) => `${name}=${value}`);

/** Makes the files of `load` in `dir` and uploads them. */
export async function upload(bucket: Bucket, load: Load, dir: string, signal: AbortSignal): Promise<void> {
  const folder = join(dir, load.prefix);
  await mkdir(folder, { recursive: true });
  const block = randomBytes(Math.min(load.fileBytes, 16 * 1024 * 1024));
  for (let nth = 0; nth < load.files; nth += 1) {
    const name = join(folder, `part-${String(nth).padStart(5, '0')}.dat`);
    if (load.fileBytes <= block.length) {
      await writeFile(name, block.subarray(0, load.fileBytes));
      continue;
    }
    await using file = await open(name, 'w');
    for (let at = 0; at < load.fileBytes; at += block.length) await file.write(block, 0, Math.min(block.length, load.fileBytes - at));
  }
  const s5 = [programOf(s5cmd, process.env), '--log=error', `--endpoint-url=${bucket.endpoint}`] as const;
  await runTool('s5cmd cp', ['env', ...pairs(bucket.env), ...s5, 'cp', `${folder}/`, `s3://bench/${load.prefix}/`], signal);
}
