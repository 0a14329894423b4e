import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { barText } from '../../src/cli/pull-progress.ts';
import { runGateway } from '../support/gateway-process.ts';
import { temporaryDir } from '../support/model-store.ts';
import { S3Stub } from '../support/s3-stub.ts';

test('a model is pulled, listed, verified, found damaged, and taken away', async (t) => {
  const body = Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), randomBytes(3000)]);
  await using stub = await S3Stub.start([{ key: 'm/w.gguf', body }]);
  const dir = temporaryDir(t);
  const config = join(dir, 'c.yaml');
  const env = JSON.stringify(stub.env);
  writeFileSync(
    config,
    `llm_configs:\n  - {model_loading_config: {model_id: m, model_source: "s3://bucket/m"}, llm_engine: fake, runtime_env: {env_vars: ${env}}}\ngateway: {state_dir: ${dir}/state}\n`,
  );
  const run = async (...args: string[]) => await runGateway([...args, '-c', config]);
  const pulled = await run('pull', 'm');
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stderr, /^looking for the model files\ndownloading 0 % of 3\.0 KB\n$/);
  const file = pulled.stdout.trim();
  assert.deepEqual(readFileSync(file), body);
  assert.match(
    (await run('cache', 'ls')).stdout,
    /^bucket-m-[0-9a-f]{12}\/[0-9a-f]{12} {2}3\.0 KB {2}used \d+ s ago {2}s3:\/\/bucket\/m\n1 models/,
  );
  assert.match((await run('cache', 'verify')).stdout, /: whole\n$/);
  writeFileSync(file, Buffer.concat([body.subarray(0, 2999), Buffer.alloc(body.length - 2999)]));
  const damaged = await run('cache', 'verify', 's3://bucket/m');
  assert.equal(damaged.code, 1);
  assert.match(damaged.stdout, /is not what was fetched/);
  assert.match((await run('cache', 'rm', 's3://bucket/m')).stdout, /: removed\n$/);
  assert.match((await run('cache', 'ls')).stdout, /^0 models/);
  assert.equal((await run('cache', 'rm', 'nothing')).code, 2);
  assert.equal((await run('pull', 'other')).code, 2);
});

test('a bar has the share, the bytes, the rate and the time that is left', () => {
  assert.equal(
    barText({ kind: 'downloading', doneBytes: 1e9, totalBytes: 4e9, bytesPerSecond: 1e8, etaMs: 30_000 }),
    '[######..................] 25 %  1.0 GB of 4.0 GB  100 MB/s  30 s left',
  );
});
