import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loraTable } from '../../src/cli/lora-table.ts';
import { adapterName } from '../../src/core/ids.ts';
import { fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';

const addAdapter = async (root: string, name: string): Promise<void> => {
  await mkdir(join(root, name));
  await writeFile(join(root, name, 'adapter_config.json'), '{"peft_type": "LORA", "r": 2}');
};

test('adapters are listed, loaded, unloaded and looked for by command', async (t) => {
  const root = await tempDir(t);
  for (const name of ['a', 'b']) await addAdapter(root, name);
  const lora = { dynamic_lora_loading_path: root, max_num_adapters_per_replica: 4, refresh_s: 3600 };
  const gateway = await startGateway(t, [{ ...fakeModel('m:1'), lora_config: lora }, fakeModel('plain')]);
  const run = async (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    runGateway(['lora', ...args, '--state-dir', gateway.stateDir]);
  assert.deepEqual(await run('load', 'm:1:a'), { code: 0, stdout: 'm:1:a: on #0\n', stderr: '' });
  const list = await run('ls', '--all');
  assert.match(list.stdout, /^m:1:a +#0 +loaded +[0-9a-f]{12} +0 +0\.0$/mu);
  assert.match(list.stdout, /^m:1:b +- +not loaded/mu);
  assert.match(list.stdout, /^adapters of m:1: 2 adapters found; loaded #0 1\/4; 1 loads, 0 evictions$/mu);
  const status = await runGateway(['status', '--state-dir', gateway.stateDir]);
  assert.match(status.stdout, /^adapters of m:1: 2 adapters found; loaded #0 1\/4;/mu);
  await addAdapter(root, 'c');
  assert.equal((await run('refresh', 'm:1')).stdout, 'm:1: 3 adapters found\n');
  const { models } = JSON.parse((await run('ls', '--all', '--json')).stdout) as { models: { model: string; names: string[] }[] };
  assert.deepEqual(
    models.map(({ model, names }) => [model, names]),
    [['m:1', ['a', 'b', 'c']]],
  );
  assert.equal((await run('unload', 'm:1:a')).stdout, 'm:1:a: leaves #0 once its requests have ended\n');
  await until('it has left', async () => !(await run('ls')).stdout.includes('m:1:a'));
  for (const [args, message] of [
    [['unload', 'm:1:a'], /No replica of m:1 has the adapter "a" loaded/],
    [['load', 'm:1:nobody'], /There is no adapter "nobody" in/],
    [['load', 'plain:a'], /"plain:a" is no adapter of a model; expected model:adapter\. Models with adapters: m:1\./],
    [['ls', 'plain'], /There is no model "plain" with adapters/],
  ] as const) {
    const refused = await run(...args);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, message);
  }
  const unsaid = await run('load');
  assert.deepEqual([unsaid.code, /expected an adapter: gateway lora load model:adapter/.test(unsaid.stderr)], [2, true]);
});

test('the table says what is waited for, and that more adapters are in use than there is room for', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(adapterName) as [
    ReturnType<typeof adapterName>,
    ReturnType<typeof adapterName>,
    ReturnType<typeof adapterName>,
  ];
  const text = loraTable({
    models: [
      {
        model: 'm',
        resident: [{ adapter: a, replica: 0, state: 'loaded', revision: 'r1', inFlight: 2, heat: 3.25 }],
        waiting: [
          { adapter: b, crowded: true },
          { adapter: c, crowded: false },
        ],
        maxPerReplica: 1,
        found: undefined,
        loads: { ok: 3, failed: 1 },
        loadSeconds: 1,
        evictions: 2,
        crowdedWaits: 5,
      },
    ],
  });
  assert.match(text, /^m:a +#0 +loaded +r1 +2 +3\.3$/mu);
  assert.match(text, /^m:b +- +waited for, all are in use/mu);
  assert.match(text, /^m:c +- +waited for /mu);
  assert.match(
    text,
    /an unknown number of adapters found; loaded #0 1\/1; 3 loads, 1 failed, 2 evictions; 2 waited for; thrashing: 1 wait because/u,
  );
  assert.equal(loraTable({ models: [] }), 'No model has adapters (lora_config).\n');
});
