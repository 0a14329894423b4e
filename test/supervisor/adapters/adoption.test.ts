import assert from 'node:assert/strict';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeModel, startGateway, tempDir } from '../../support/gateway-process.ts';
import type { GatewayProcess } from '../../support/gateway-process.ts';
import { until } from '../../support/until.ts';

interface Adapters {
  readonly models: readonly {
    readonly resident: readonly { readonly adapter: string; readonly state: string }[];
    readonly loads: object;
  }[];
}

async function ask(gateway: GatewayProcess, adapter: string): Promise<void> {
  const reply = await gateway.post({ model: `m:${adapter}`, messages: [{ role: 'user', content: 'hi' }] });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  // The fake engine's answer begins with the name that it knows the adapter by.
  assert.ok(text.includes(`"content":"${adapter}.`), text);
}

/** What the gateway says that its replica has, and what it has loaded for that. */
async function look(gateway: GatewayProcess): Promise<{ readonly names: readonly string[]; readonly loads: object | undefined }> {
  const { models } = (await (await fetch(`${gateway.adminUrl}/api/adapters`)).json()) as Adapters;
  return { names: models.flatMap(({ resident }) => resident.map(({ adapter, state }) => `${adapter} ${state}`)), loads: models[0]?.loads };
}

test('the next gateway reads back what a running engine has loaded, keeps it, and puts away what has other weights by now', async (t) => {
  const root = await tempDir(t);
  const config = (name: string): string => join(root, name, 'adapter_config.json');
  for (const name of ['a', 'b']) {
    await mkdir(join(root, name));
    await writeFile(config(name), '{"peft_type": "LORA", "r": 2}');
  }
  const stateDir = join(await tempDir(t), 'state');
  const model = { ...fakeModel('m'), lora_config: { dynamic_lora_loading_path: root, max_num_adapters_per_replica: 2 } };
  const former = await startGateway(t, [model], { stateDir });
  for (const name of ['a', 'b']) await ask(former, name);
  const pids = await former.engines();
  former.signal('SIGKILL');
  await former.exited;
  await utimes(config('a'), new Date(), new Date(1_700_000_000_000));
  const next = await startGateway(t, [model], { stateDir });
  assert.deepEqual(await next.engines(), pids);
  await until('what it has was read back', async () => (await look(next)).names.join() === 'b loaded');
  assert.deepEqual((await look(next)).loads, { ok: 0, failed: 0 });
  for (const name of ['b', 'a', 'b']) await ask(next, name);
  const { names, loads } = await look(next);
  assert.deepEqual([[...names].sort(), loads], [['a loaded', 'b loaded'], { ok: 1, failed: 0 }]);
});
