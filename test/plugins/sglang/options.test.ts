import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Launch, ModelTraits } from '../../../src/plugins/engine-plugin.ts';
import { EngineOptionError } from '../../../src/plugins/engine-plugin.ts';
import { sglang } from '../../../src/plugins/sglang/index.ts';
import { fromServedName, toServedName } from '../../../src/plugins/sglang/served-name.ts';

const launch: Launch = {
  model: { kind: 'path', value: '/models/a b' },
  servedName: 'org/model',
  port: 20_001,
  innerPort: 20_101,
  apiKey: 'secret',
  stopGraceS: 20,
};
const always = [
  'serve',
  '--model-path',
  '/models/a b',
  '--host',
  '127.0.0.1',
  '--port',
  '20001',
  '--nccl-port',
  '20101',
  '--served-model-name',
  'org/model',
  '--api-key',
  'secret',
  '--enable-metrics',
  '--max-running-requests',
  '256',
];
const args = (options: Record<string, unknown>, traits?: ModelTraits): readonly string[] =>
  sglang.configure(options, traits).command(launch).args;

test('without options: loopback, a key, metrics, a bounded batch', () => {
  assert.deepEqual(args({}), always);
  const { concurrency, needs, stopping, notes } = sglang.configure({});
  assert.deepEqual([concurrency, needs, notes], [256, { gpus: 1, memoryShare: 1 }, []]);
  // It looks for the end of its requests every 5 s only.
  assert.ok(stopping.graceMs >= 15_000);
});

test('data-parallel copies look for a port each themselves', () => {
  assert.equal(sglang.configure({}).innerPorts, 1);
  assert.equal(sglang.configure({ dp_size: 2 }).innerPorts, 0);
  assert.ok(!args({ dp_size: 2 }).includes('--nccl-port'));
});

test('probes wait longer than the 20 s that /health may take', () => {
  const { readiness, liveness } = sglang.configure({}).probes;
  assert.ok(readiness.timeoutMs > 20_000 && liveness.timeoutMs > 20_000);
});

test('a name with a colon is served encoded, and recognised again', () => {
  const engine = sglang.configure({});
  const { args: argv } = engine.command({ ...launch, servedName: 'llama3:8b' });
  assert.equal(argv[argv.indexOf('--served-model-name') + 1], 'llama3%3A8b');
  assert.deepEqual(engine.readServedModels({ data: [{ id: 'llama3%3A8b' }] }), ['llama3:8b']);
});

test('every name is served without a colon and comes back as it was', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[%:253A]{0,8}$/u)), (id) => {
      assert.ok(!toServedName(id).includes(':'));
      assert.equal(fromServedName(toServedName(id)), id);
    }),
  );
});

const written: readonly (readonly [Record<string, unknown>, readonly string[]])[] = [
  [{ context_length: 8192, 'kv-cache-dtype': 'auto' }, ['--context-length', '8192', '--kv-cache-dtype', 'auto']],
  [{ disable_radix_cache: true, enable_torch_compile: false }, ['--disable-radix-cache']],
  [{ lora_strict_loading: false }, ['--no-lora-strict-loading']],
  [{ chunked_prefill_size: -1 }, ['--chunked-prefill-size=-1']],
  [{ cuda_graph_bs: [1, 2], gc_threshold: [] }, ['--cuda-graph-bs-decode', '1', '2']],
  [{ json_model_override_args: { a: [1] } }, ['--json-model-override-args', '{"a":[1]}']],
  [{ tensor_parallel_size: 2, pp: 3 }, ['--tp-size', '2', '--pp-size', '3']],
  [{ enable_ep_moe: true, enable_deepep_moe: true }, ['--moe-a2a-backend', 'deepep']],
  [{ revision: '$(reboot)', quantization: null, trust_remote_code: true }, ['--revision', '$(reboot)', '--trust-remote-code']],
];
for (const [options, expected] of written) {
  test(`options ${JSON.stringify(options)} as arguments`, () => assert.deepEqual(args(options), [...always, ...expected]));
}

test('options that older versions had are told', () => {
  assert.deepEqual(sglang.configure({ enable_ep_moe: true }).notes, [
    { path: ['enable_ep_moe'], message: 'left out: ep_size alone does it' },
  ]);
});

const needs: readonly (readonly [Record<string, unknown>, number, number])[] = [
  [{ tp_size: 2, pp_size: 3, dp_size: 2 }, 12, 1],
  [{ tp_size: 4, dp_size: 4, enable_dp_attention: true }, 4, 1],
  [{ mem_fraction_static: 0.4 }, 1, 0.5],
  [{ mem_fraction_static: 0.95 }, 1, 1],
];
for (const [options, gpus, memoryShare] of needs) {
  test(`what ${JSON.stringify(options)} needs`, () => assert.deepEqual(sglang.configure(options).needs, { gpus, memoryShare }));
}

test('the tokenizer of model_loading_config, which must not contradict engine_kwargs', () => {
  assert.ok(args({}, { tokenizerSource: 'org/t' }).join(' ').includes(' --tokenizer-path org/t '));
  assert.throws(() => sglang.configure({ tokenizer: 'a' }, { tokenizerSource: 'b' }), /engine_kwargs\.tokenizer: got "a", but/u);
});

test('lora_config enables adapters, with a slot for the base model', () => {
  assert.deepEqual(args({}, { lora: { maxAdaptersPerReplica: 4 } }), [
    ...always,
    '--enable-lora',
    '--max-loras-per-batch',
    '5',
    '--max-loaded-loras',
    '5',
    '--max-lora-rank',
    '16',
    '--lora-target-modules',
    'all',
  ]);
  const own = args(
    { max_loras_per_batch: 2, max_lora_rank: 64, lora_target_modules: ['q_proj', 'v_proj'] },
    { lora: { maxAdaptersPerReplica: 4 } },
  );
  assert.deepEqual(own, [
    ...always,
    '--max-loras-per-batch',
    '2',
    '--max-lora-rank',
    '64',
    '--lora-target-modules',
    'q_proj',
    'v_proj',
    '--enable-lora',
    '--max-loaded-loras',
    '4',
  ]);
  assert.match(
    sglang.configure({ max_loras_per_batch: 9 }, { lora: { maxAdaptersPerReplica: 4 } }).notes[0]?.message ?? '',
    /^9 slots take/u,
  );
});

const adapters: ModelTraits = { lora: { maxAdaptersPerReplica: 4 } };
const refused: readonly (readonly [Record<string, unknown>, RegExp, ModelTraits?])[] = [
  [{ host: '0.0.0.0' }, /^engine_kwargs\.host: cannot be set: the gateway gives each replica its own loopback address$/u],
  [{ nccl_port: 1 }, /each replica gets ports of its own/u],
  [{ model_path: 'x' }, /model_loading_config\.model_source/u],
  [{ admin_api_key: 'x' }, /its own key/u],
  [{ base_gpu_id: 1 }, /the gateway assigns the GPUs/u],
  [{ lora_paths: ['a=b'] }, /adapters come from lora_config/u],
  [{ ssl_keyfile: 'x' }, /plain HTTP/u],
  [{ gpu_memory_utilization: 0.9 }, /no option of SGLang: SGLang has mem_fraction_static/u],
  [{ max_num_seqs: 4 }, /SGLang calls it max_running_requests/u],
  [{ mem_fraction_static: 1 }, /got 1, expected a number between 0 and 1/u],
  [{ tokenizer_worker_num: 2 }, /got 2, expected 1/u],
  [{ tp: 1, tp_size: 2 }, /the option tp_size is given twice/u],
  [{ enable_lora: true }, /expected a lora_config/u],
  [{ enable_lora: false }, /got false, but there is a lora_config/u, adapters],
  [{ max_loaded_loras: 2 }, /got 2, expected at least max_loras_per_batch \(5\)/u, adapters],
  [{ max_loaded_loras: 2, max_loras_per_batch: 2 }, /max_num_adapters_per_replica \(4\)/u, adapters],
];
for (const [options, message, traits] of refused) {
  test(`options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(
      () => sglang.configure(options, traits),
      (error) => {
        assert.ok(error instanceof EngineOptionError);
        assert.match(error.message, message);
        assert.ok(Object.keys(options).includes(String(error.problems[0]?.path[0])));
        return true;
      },
    );
  });
}

const help = readFileSync(new URL('../../fixtures/engines/sglang/help.txt', import.meta.url), 'utf8');

test('options are checked against the help of the installed version', () => {
  const engine = sglang.configure({ contex_length: 1, tp: 2, disable_cuda_graph: true });
  assert.deepEqual(engine.checkOptions?.(engine.help?.read(help) ?? new Set()), [
    { path: ['contex_length'], message: 'no option of the installed SGLang; did you mean "context_length"?' },
  ]);
  assert.equal(engine.help?.read(''), undefined);
});

test('whatever the gateway itself passes is in the help too', () => {
  const traits = { ...adapters, tokenizerSource: 'x' };
  for (const flag of args({}, traits).filter((arg) => arg.startsWith('--'))) assert.match(help, new RegExp(`^ {2}${flag}[ ,]`, 'mu'));
});
