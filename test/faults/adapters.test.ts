import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { runGateway, tempDir } from '../support/gateway-process.ts';
import { model, row, type Victim } from './support/row.ts';

/** A directory with an adapter for each name. */
async function adaptersIn(t: TestContext, names: readonly string[]): Promise<string> {
  const root = await tempDir(t);
  for (const name of names) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'adapter_config.json'), '{"peft_type": "LORA", "r": 2}');
  }
  return root;
}

/** A model of the fake engine whose adapters are in `root`. */
const adapted = (root: string, replicas: number, room: number, engineKwargs: object = {}): object => ({
  ...model('m', engineKwargs, { num_replicas: replicas, max_queued_requests: 1000 }),
  lora_config: { dynamic_lora_loading_path: root, max_num_adapters_per_replica: room },
});

const textOf = (body: string): string =>
  (JSON.parse(body) as { choices: readonly { message: { content: string } }[] }).choices[0]?.message.content ?? '';

/** Asks for an adapter; its answer begins with the name that the fake engine knows it by. */
async function answers(gateway: Victim, adapter: string, more?: object): Promise<void> {
  const { status, text } = await gateway.ask(`m:${adapter}`, more);
  assert.equal(status, 200, text);
  assert.ok(textOf(text).startsWith(`${adapter}.`), `${adapter} was asked for, and this answered: ${textOf(text)}`);
}

/** How often each of two replicas has loaded an adapter. */
async function loadsOf(gateway: Victim): Promise<readonly number[]> {
  return Promise.all([0, 1].map(async (index) => (await (await gateway.engine('m', index)).state()).adapterLoads));
}

row(57, async ({ t, start }) => {
  const root = await adaptersIn(t, ['a', 'b', 'c', 'd', 'e', 'f']);
  const gateway = await start([adapted(root, 2, 8)]);
  await (await gateway.engine('m', 0)).control({ lora: 'fail' });
  for (const adapter of ['a', 'b', 'c', 'd', 'e', 'f']) await answers(gateway, adapter);
  assert.deepEqual(await loadsOf(gateway), [0, 6]);
  const missing = await gateway.ask('m:nowhere');
  assert.equal(missing.status, 404);
  assert.equal(missing.code, 'adapter_not_found');
  await (await gateway.engine('m', 0)).control({ lora: 'refuse' });
  await (await gateway.engine('m', 1)).control({ lora: 'refuse' });
  await mkdir(join(root, 'big'));
  await writeFile(join(root, 'big', 'adapter_config.json'), '{}');
  const refused = await gateway.ask('m:big');
  assert.equal(refused.status, 400);
  assert.equal(refused.code, 'adapter_invalid');
  assert.match(refused.message, /LoRA rank 64/u, "the engine's own words");
  const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(page, /^roundhouse_adapters_loaded\{model="m",replica="1"\} 6$/mu);
  assert.match(page, /^roundhouse_adapter_loads_total\{model="m",result="ok"\} 6$/mu);
  assert.match(page, /^roundhouse_adapter_requests_total\{model="m",result="miss"\} 8$/mu);
  assert.match(page, /^roundhouse_adapter_loads_total\{model="m",result="failed"\} [1-9]\d*$/mu);
});

row(58, async ({ t, start }) => {
  const names = ['a', 'b', 'c', 'd'];
  const root = await adaptersIn(t, names);
  const gateway = await start([adapted(root, 1, 8)]);
  for (const adapter of names) await answers(gateway, adapter);
  const pid = await gateway.pidOf('m');
  process.kill(pid, 'SIGKILL');
  await gateway.model('m', 'another one is ready', ({ replicas: [replica] }) => replica?.state === 'ready' && replica.pid !== pid);
  // One request, of the base: it is routable only with the adapters of its range.
  assert.equal((await gateway.ask('m')).status, 200);
  const { adapterLoads } = await (await gateway.engine('m')).state();
  assert.equal(adapterLoads, names.length);
  for (const adapter of names) await answers(gateway, adapter);
});

row(59, async ({ t, start }) => {
  const names = Array.from({ length: 32 }, (_, at) => `a${at}`);
  const root = await adaptersIn(t, names);
  const gateway = await start([adapted(root, 1, 4, { tokens: 4, tokens_per_s: 40 })]);
  const asked = Array.from({ length: 4 }, () => names).flat();
  await Promise.all(asked.map((adapter) => answers(gateway, adapter)));
  const { mostAdapters, adapterLoads } = await (await gateway.engine('m')).state();
  assert.ok(mostAdapters <= 4, `${mostAdapters} adapters were loaded at a time`);
  const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(page, /^roundhouse_adapter_crowded_waits_total\{model="m"\} [1-9]\d*$/mu);
  const { stdout } = await runGateway(['status', '--state-dir', gateway.stateDir]);
  // Less than 4 where the last ones that waited were served by room that was made for others: theirs comes later, and nobody takes it.
  assert.match(stdout, /^adapters of m: 32 adapters found; loaded #0 [1-4]\/4; .*\d+ waits so far because all were in use$/mu);
  // Those who wait for one adapter are served by one load of it.
  assert.ok(adapterLoads <= 2 * names.length, `${adapterLoads} loads for ${names.length} adapters`);
});

row(60, async ({ t, start }) => {
  const root = await adaptersIn(t, ['a']);
  const gateway = await start([adapted(root, 2, 4, { lora_load_s: 0.5 })]);
  await Promise.all(Array.from({ length: 100 }, () => answers(gateway, 'a')));
  const loads = await loadsOf(gateway);
  assert.ok(Math.max(...loads) <= 1, `loads of each replica: ${loads.join(', ')}`);
});
