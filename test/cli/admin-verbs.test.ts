import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { duration } from '../../src/cli/duration.ts';
import { statusTable } from '../../src/cli/status-table.ts';
import { fakeNvidiaSmi } from '../support/fake-nvidia-smi.ts';
import { fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

test('status, scale, reload and stop reach the gateway of a state directory', async (t) => {
  const { stateDir, exited } = await startGateway(t, [fakeModel('m')]);
  const verb = (...args: string[]) => runGateway([...args, '--state-dir', stateDir]);
  assert.equal((JSON.parse((await verb('status', '--json')).stdout) as { models: unknown[] }).models.length, 1);
  assert.match(
    (await verb('status')).stdout,
    /^gateway \d+, [^\n]+\n\nMODEL +REPLICA +STATE[^\n]+\nm +#0 +ready +- +- +\d+ +\d+ +0 +0 +0 +\d+ s +- +fake(?: 1\.0\.0)?\n$/,
  );
  assert.deepEqual(JSON.parse((await verb('scale', 'm', '2', '--json')).stdout), { model: 'm', from: 1, to: 2, autoscaled: false });
  const wrong = await verb('scale', 'm', 'many');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /whole number/);
  const unknown = await verb('scale', 'nope', '1');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^gateway: There is no model "nope"\. The models are: m\.\n$/);
  const both = await verb('status', '--json', '--quiet');
  assert.equal(both.code, 2);
  assert.deepEqual(await verb('status', '--quiet'), { code: 0, stdout: '', stderr: '' });
  assert.equal((await verb('reload')).code, 0);
  assert.equal((await verb('stop')).code, 0);
  assert.equal((await exited).code, 0);
});

test('no gateway: exit 1, the socket named; the state directory comes from a flag or a config', async (t) => {
  const dir = await tempDir(t);
  const file = join(dir, 'config.yaml');
  await writeFile(file, `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\ngateway: {state_dir: ./here}\n`);
  for (const [args, socket] of [
    [['--state-dir', dir], join(dir, 'admin.sock')],
    [['-c', file], join(dir, 'here', 'admin.sock')],
  ] as const) {
    const { code, stderr } = await runGateway(['status', ...args]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(socket), stderr);
  }
});

test('validate prints warnings with their place, and exits 4 on a bad file', async (t) => {
  const file = join(await tempDir(t), 'config.yaml');
  await writeFile(file, 'llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: fake\n    experimental_configs: {a: 1}\n');
  const good = await runGateway(['validate', '-c', file]);
  assert.equal(good.code, 0);
  assert.match(
    good.stdout,
    /^warning: [^\n]*config\.yaml:4:\d+: llm_configs\[0\]\.experimental_configs\.a: accepted, no effect[^\n]*\n[^\n]*config\.yaml is valid\.\n$/,
  );
  await writeFile(file, 'llm_configs: []\n');
  const bad = await runGateway(['validate', '-c', file]);
  assert.deepEqual([bad.code, bad.stdout], [4, '']);
  assert.match(bad.stderr, /config\.yaml:1:14: llm_configs: expected a list of at least one model, got an empty list\n$/);
  const asJson = await runGateway(['validate', '--json', '-c', file]);
  assert.deepEqual([asJson.code, asJson.stderr], [4, '']);
  const message = 'expected a list of at least one model, got an empty list';
  assert.deepEqual(JSON.parse(asJson.stdout), {
    valid: false,
    config: [file],
    problems: [{ file, line: 1, column: 14, path: 'llm_configs', message }],
  });
});

test('validate warns of replicas that wait for the GPUs of others, and exits 4 where one can never have enough', async (t) => {
  const file = join(await tempDir(t), 'config.yaml');
  const validate = async (settings: string): ReturnType<typeof runGateway> => {
    await writeFile(file, `llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: fake\n    ${settings}\n`);
    return runGateway(['validate', '-c', file], undefined, fakeNvidiaSmi(t, 2).env);
  };
  const waiting = await validate('gateway: {gpus: 1}\n    deployment_config: {num_replicas: 3}');
  assert.equal(waiting.code, 0);
  assert.match(
    waiting.stdout,
    /^warning: [^\n]*config\.yaml:2:5: llm_configs\[0\]: 1 of 3 replicas would have no GPU [^\n]*: m-2: waiting for a GPU: [^\n]*\n/,
  );
  const never = await validate('gateway: {gpus: 3}');
  assert.deepEqual([never.code, never.stdout], [4, '']);
  assert.match(
    never.stderr,
    /config\.yaml:2:5: llm_configs\[0\]: its replica can never start [^\n]*: m-0: needs 3 GPUs, there are 2 to use; expected [^\n]*\n$/,
  );
});

test('several files are one config, repeated or listed', async (t) => {
  const dir = await tempDir(t);
  const [models, settings] = [join(dir, 'models.yaml'), join(dir, 'settings.yaml')];
  await writeFile(models, 'llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\n');
  await writeFile(settings, 'gateway: {state_dir: ./here}\n');
  const listed = await runGateway(['validate', '--json', '-c', models, settings]);
  assert.deepEqual(JSON.parse(listed.stdout), { valid: true, config: [models, settings], warnings: [] });
  assert.match((await runGateway(['validate', '-c', models, '-c', settings])).stdout, /settings\.yaml are together valid\.\n$/);
  const { code, stderr } = await runGateway(['scale', '-c', models, '-c', settings, 'm', '2']);
  assert.equal(code, 1);
  assert.ok(stderr.includes(join(dir, 'here', 'admin.sock')), stderr);
});

test('schema prints a JSON Schema', async () => {
  const { code, stdout } = await runGateway(['schema']);
  assert.equal(code, 0);
  assert.equal((JSON.parse(stdout) as { title: string }).title, 'Roundhouse config');
});

test('a model without replicas has a row too, and errors stand below the table', () => {
  const model = { name: 'm', engine: 'fake', desired: 0, status: { phase: 'stopped' }, waiting: 2, restarts: 0, replicas: [] };
  assert.match(
    statusTable({ pid: 1, config: ['c'], dataPort: 1, now: 0, models: [model], gpus: [] } as never),
    /\nm +- +stopped +- +- +- +- +0 +2 +0 +- +- +fake\n$/,
  );
  const replica = {
    index: 0,
    state: 'failed',
    phase: 'failed',
    since: 0,
    gpus: ['0', '1'],
    inFlight: 0,
    restarts: 0,
    lastError: { code: 'start_failed', message: 'no such file' },
  };
  assert.match(
    statusTable({ pid: 1, config: ['c'], dataPort: 1, now: 5000, models: [{ ...model, replicas: [replica] }], gpus: [] } as never),
    /#0 +failed +- +0,1 +- .* start_failed +fake\n\nm #0: no such file\n$/,
  );
});

const gpu = (index: number, holders: string[], quarantined?: string) => ({ index, name: 'NVIDIA L4', holders, quarantined });

test('each GPU has a line: who holds it, or why nobody may', () => {
  const gpus = [gpu(0, ['m-0', 'm-1']), gpu(1, []), gpu(2, [], 'GPU is lost')];
  const shown = statusTable({ pid: 1, config: ['c'], dataPort: 1, now: 0, models: [], gpus } as never);
  assert.match(
    shown,
    /\n\nGPU 0 {2}NVIDIA L4 {2}held by m-0, m-1\nGPU 1 {2}NVIDIA L4 {2}free\nGPU 2 {2}NVIDIA L4 {2}quarantined: GPU is lost\n$/,
  );
});

test('durations are told in the unit that fits', () => {
  assert.deepEqual([0, 119_000, 120_000, 7_200_000, 172_800_000].map(duration), ['0 s', '119 s', '2 min', '2 h', '2 d']);
});
