import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeModel, startGateway } from '../../support/gateway-process.ts';
import type { GatewayProcess } from '../../support/gateway-process.ts';
import { skipS3 } from '../../support/object-stores.ts';
import { S3Server } from '../../support/s3-server.ts';
import { until } from '../../support/until.ts';

const put = async (server: S3Server, name: string, rank: number): Promise<void> =>
  server.put('bucket', `loras/${name}/adapter_config.json`, Buffer.from(JSON.stringify({ peft_type: 'LORA', r: rank })));

/** What the fake engine answers with an adapter: its handle comes first. */
async function handleOf(gateway: GatewayProcess, adapter: string): Promise<string> {
  const reply = await gateway.post({ model: `m:${adapter}`, messages: [{ role: 'user', content: 'hi' }] });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  const { choices } = JSON.parse(text) as { choices: { message: { content: string } }[] };
  const [handle = ''] = (choices[0]?.message.content ?? '').split(/[\s:]/u);
  assert.ok(handle.startsWith(`${adapter}.`), text);
  return handle;
}

test('adapters of a real S3 server are fetched once, served, listed, renewed and told to be missing', { skip: skipS3 }, async (t) => {
  await using server = await S3Server.start();
  await server.createBucket('bucket');
  for (const name of ['a', 'b']) await put(server, name, 2);
  await server.put('bucket', 'loras/none/readme.txt', Buffer.from('no adapter'));
  const lora = { dynamic_lora_loading_path: 's3://bucket/loras', max_num_adapters_per_replica: 4, refresh_s: 1 };
  const model = { ...fakeModel('m'), lora_config: lora };
  const gateway = await startGateway(t, [model], { env: server.env });
  const first = new Set(await Promise.all(Array.from({ length: 50 }, () => handleOf(gateway, 'a'))));
  assert.equal(first.size, 1);
  assert.match(await gateway.metrics(), /^roundhouse_adapter_loads_total\{model="m",result="ok"\} 1$/mu);
  const ids = async (): Promise<readonly string[]> =>
    ((await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  await until('all are listed', async () => (await ids()).includes('m:b'));
  assert.deepEqual(await ids(), ['m', 'm:a', 'm:b', 'm:none']);
  const missing = await gateway.post({ model: 'm:none', messages: [{ role: 'user', content: 'hi' }] });
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /s3:\/\/bucket\/loras\/none is no LoRA adapter.*no adapter_config\.json/u);
  await put(server, 'a', 4);
  await until('its new weights answer', async () => !first.has(await handleOf(gateway, 'a')));
  await put(server, 'c', 2);
  await until('a new one is listed', async () => (await ids()).includes('m:c'));
  await handleOf(gateway, 'c');
});
