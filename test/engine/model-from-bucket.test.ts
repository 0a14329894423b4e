import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { eventData } from '../support/sse.ts';
import { GateProxy } from '../support/gate-proxy.ts';
import { runGateway, startGateway } from '../support/gateway-process.ts';
import { skipS3 } from '../support/object-stores.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';
import { S3Server } from '../support/s3-server.ts';

const model = 'smollm2-135m';
const question = {
  model,
  stream: true,
  messages: [{ role: 'user', content: 'What is the capital of France? Answer in one sentence.' }],
  temperature: 0,
  cache_prompt: false,
};
const downloading = /downloading \d+ % of 98\.4 MB/;

/** Reads a stream until `pattern`, or to its end. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, pattern?: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    text += decoder.decode(value, { stream: true });
    if (pattern?.test(text) === true) return text;
    if (done) {
      assert.ok(pattern === undefined, `the stream ended without ${String(pattern)}: ${text}`);
      return text;
    }
  }
}

const contentOf = (stream: string): string =>
  eventData(stream)
    .filter((data) => data !== '[DONE]')
    .map((data) => (JSON.parse(data) as { choices: { delta?: { content?: string } }[] }).choices[0]?.delta?.content ?? '')
    .join('');

describe('a model in a public bucket', { skip: skipReal === false ? skipS3 : skipReal }, () => {
  test('is brought here, tells all who wait how far it is, and is served by a real llama-server', async (t) => {
    await using store = await S3Server.start();
    await store.createBucket('public', { anonymous: true });
    await store.put('public', 'models/smollm2/smollm2-q4_1.gguf', readFileSync(quickstart.model));
    await using gate = await GateProxy.start(Number(new URL(store.url).port), 20_000_000);
    const remote = {
      ...realModel(1),
      model_loading_config: { model_id: model, model_source: { bucket_uri: 's3://anonymous@public/models/smollm2' } },
      // Asleep until the first request, so that the gateway says where it is before the model is there.
      deployment_config: { autoscaling_config: { min_replicas: 0, max_replicas: 1 } },
      runtime_env: { env_vars: { AWS_ENDPOINT_URL: gate.url } },
    };
    const gateway = await startGateway(t, [remote], { more: { ...realEngine, timeouts: { heartbeat_s: 1 } } });
    const reply = await gateway.post(question);
    const reader = reply.body?.getReader();
    assert.ok(reader !== undefined);
    const waiting = await readUntil(reader, downloading);
    assert.match(waiting, /^: waiting for a replica \(/m);
    const [status] = await gateway.status();
    assert.match(status?.replicas[0]?.phase ?? '', downloading);
    assert.equal(status?.replicas[0]?.state, 'pending');
    assert.deepEqual(await gateway.engines(), [], 'no engine is started, and no GPU held, until all of it is here');
    const shown = await runGateway(['status', '-c', gateway.configFile]);
    assert.match(shown.stdout, downloading, shown.stderr);
    gate.open();
    assert.match(contentOf(await readUntil(reader)), /Paris/);
    const cached = await runGateway(['cache', 'ls', '-c', gateway.configFile]);
    assert.match(
      cached.stdout,
      /^models-smollm2-[0-9a-f]{12}\/[0-9a-f]{12} {2}98\.4 MB {2}in use {2}s3:\/\/anonymous@public\/models\/smollm2$/m,
    );
    const removed = await runGateway(['cache', 'rm', 's3://anonymous@public/models/smollm2', '-c', gateway.configFile]);
    assert.equal(removed.code, 1, 'never one in use');
    const [engine = 0] = await gateway.engines();
    assert.ok(readFileSync(`/proc/${engine}/cmdline`, 'utf8').includes(join(gateway.stateDir, 'models/models/models-smollm2-')));
  });
});
