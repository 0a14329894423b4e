import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeModel, startGateway, tempDir } from '../../support/gateway-process.ts';
import { until } from '../../support/until.ts';

test('an adapter beyond the room of an engine that takes them at its start comes when those in use are so no more', async (t) => {
  const root = await tempDir(t);
  for (const name of ['a', 'b']) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'adapter_config.json'), '{"peft_type": "LORA", "r": 2}');
  }
  const lora_config = { dynamic_lora_loading_path: root, max_num_adapters_per_replica: 1, refresh_s: 3600 };
  const gateway = await startGateway(t, [{ ...fakeModel('m', { lora_at_start: true, tokens: 40, tokens_per_s: 10 }), lora_config }]);
  const ask = async (adapter: string): Promise<{ readonly status: number; readonly text: string }> => {
    const reply = await gateway.post({ model: `m:${adapter}`, messages: [{ role: 'user', content: 'hi' }] });
    return { status: reply.status, text: await reply.text() };
  };
  const first = ask('a');
  await until('it is in use', async () => /^roundhouse_model_in_flight\{model="m"\} 1$/mu.test(await gateway.metrics()));
  const second = ask('b');
  await until('the other one waits for room', async () =>
    /^roundhouse_adapter_crowded_waits_total\{model="m"\} 1$/mu.test(await gateway.metrics()),
  );
  assert.equal((await first).status, 200);
  const { status, text } = await second;
  assert.equal(status, 200, text);
});
