import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Launch, ModelTraits } from '../../../src/plugins/engine-plugin.ts';
import { EngineOptionError } from '../../../src/plugins/engine-plugin.ts';
import { vllm } from '../../../src/plugins/vllm/index.ts';

const launch: Launch = {
  model: { kind: 'path', value: '/models/a b' },
  servedName: 'org/model:1',
  port: 20_001,
  innerPort: 20_101,
  apiKey: 'secret',
  stopGraceS: 15,
};
const fixed = [
  'serve',
  '/models/a b',
  '--host',
  '127.0.0.1',
  '--port',
  '20001',
  '--served-model-name',
  'org/model:1',
  '--shutdown-timeout',
  '5',
];
const closed = ['--allowed-media-domains', 'none.invalid'];
const always = [...fixed, ...closed, '--max-num-seqs', '256'];

const args = (options: Record<string, unknown>, traits?: ModelTraits): readonly string[] =>
  vllm.configure(options, traits).command(launch).args;
const notes = (options: Record<string, unknown>, traits?: ModelTraits): readonly string[] =>
  vllm.configure(options, traits).notes.map(({ path, message }) => `${path.join('.')}: ${message}`);

test('without options: loopback, a bounded batch, a short time to stop, nothing fetched', () => {
  assert.deepEqual(args({}), always);
  const { concurrency, needs, stopping } = vllm.configure({});
  assert.deepEqual([concurrency, needs], [256, { gpus: 1, memoryShare: 1 }]);
  assert.ok(stopping.graceMs >= 15_000);
});

test('the key is in the environment only, and no development routes are opened', () => {
  const { args: argv, env } = vllm.configure({}).command(launch);
  assert.equal(env['VLLM_API_KEY'], 'secret');
  assert.ok(!argv.some((arg) => arg.includes('secret')));
  assert.ok(!('VLLM_SERVER_DEV_MODE' in env) && !('VLLM_ALLOW_RUNTIME_LORA_UPDATING' in env));
});

test('its own processes talk over ports that no other replica has', () => {
  const engine = vllm.configure({});
  assert.equal(engine.command(launch).env['VLLM_PORT'], '20101');
  assert.ok((engine.innerPorts ?? 0) >= 1);
  assert.ok((vllm.configure({ data_parallel_size: 2 }).innerPorts ?? 0) >= 10);
});

test('however short the time to stop is, requests are never cut at once', () => {
  const { args: argv } = vllm.configure({}).command({ ...launch, stopGraceS: 2 });
  assert.equal(argv[argv.indexOf('--shutdown-timeout') + 1], '1');
});

const written: readonly (readonly [Record<string, unknown>, readonly string[]])[] = [
  [{ max_model_len: 8192 }, ['--max-model-len', '8192']],
  [{ 'max-model-len': '32k' }, ['--max-model-len', '32k']],
  [{ enforce_eager: true, enable_prefix_caching: false }, ['--enforce-eager', '--no-enable-prefix-caching']],
  [{ aggregate_engine_logging: false, trust_remote_code: true }, ['--trust-remote-code']],
  [{ no_enable_prefix_caching: false, no_async_scheduling: true }, ['--no-async-scheduling']],
  [{ seed: -1, chat_template: '--x' }, ['--seed=-1', '--chat-template=--x']],
  [{ cudagraph_capture_sizes: [1, 2, 4], ignore_patterns: [] }, ['--cudagraph-capture-sizes', '1', '2', '4']],
  [{ allowed_origins: ['https://a.example'] }, ['--allowed-origins', '["https://a.example"]']],
  [{ middleware: ['a.b', 'c.d'] }, ['--middleware', 'a.b', '--middleware', 'c.d']],
  [{ hf_overrides: { architectures: ['X'] } }, ['--hf-overrides', '{"architectures":["X"]}']],
  [{ tp: 2, pp: 3 }, ['--tensor-parallel-size', '2', '--pipeline-parallel-size', '3']],
  [{ revision: '$(reboot); "x"\n', quantization: null }, ['--revision', '$(reboot); "x"\n']],
  [{ override_pooler_config: { a: 1 } }, ['--pooler-config', '{"a":1}']],
  [{ task: 'embed' }, ['--runner', 'pooling', '--convert', 'embed']],
  [{ disable_log_requests: true }, []],
  [{ disable_log_requests: false }, ['--enable-log-requests']],
  [{ disable_mm_preprocessor_cache: true }, ['--mm-processor-cache-gb', '0']],
  [{ speculative_model: 'm', num_speculative_tokens: 3 }, ['--speculative-config', '{"num_speculative_tokens":3,"model":"m"}']],
  [
    { guided_decoding_backend: 'xgrammar', structured_outputs_config: { backend: 'guidance' } },
    ['--structured-outputs-config', '{"backend":"guidance"}'],
  ],
  [{ distributed_executor_backend: 'ray' }, []],
  [{ distributed_executor_backend: 'mp' }, ['--distributed-executor-backend', 'mp']],
];
for (const [options, expected] of written) {
  test(`options ${JSON.stringify(options)} as arguments`, () => assert.deepEqual(args(options), [...always, ...expected]));
}

test('options that older versions had are left out or renamed, and each is told', () => {
  assert.deepEqual(notes({ swap_space: 4, tokenizer_pool_size: 0, rope_theta: 1e6, dtype: 'half', distributed_executor_backend: 'ray' }), [
    'swap_space: left out: vLLM has no such option since 0.18',
    'tokenizer_pool_size: left out: vLLM has no such option since its first engine (V0) is gone',
    'rope_theta: vLLM has it as hf_overrides.rope_theta now',
    'distributed_executor_backend: left out: there is no Ray here; vLLM starts its workers itself',
  ]);
  assert.deepEqual(args({ swap_space: 4, disable_log_stats: true }), always);
});

test('domains that the config allows stand alone', () => {
  assert.deepEqual(args({ allowed_media_domains: ['a.example', 'b.example'] }), [
    ...fixed,
    '--max-num-seqs',
    '256',
    '--allowed-media-domains',
    'a.example',
    'b.example',
  ]);
});

test('GPUs are the product of the parallel sizes, the batch is one for each copy', () => {
  const engine = vllm.configure({
    tensor_parallel_size: 2,
    pipeline_parallel_size: 3,
    data_parallel_size: 4,
    max_num_seqs: 8,
    gpu_memory_utilization: 0.4,
  });
  assert.deepEqual(engine.needs, { gpus: 24, memoryShare: 0.4 });
  assert.equal(engine.concurrency, 32);
});

test('the tokenizer of model_loading_config, which must not contradict engine_kwargs', () => {
  assert.deepEqual(args({}, { tokenizerSource: 'org/t' }), [...fixed, ...closed, '--tokenizer', 'org/t', '--max-num-seqs', '256']);
  assert.deepEqual(args({ tokenizer: 'org/t' }, { tokenizerSource: 'org/t' }).filter((arg) => arg === '--tokenizer').length, 1);
  assert.throws(() => vllm.configure({ tokenizer: 'a' }, { tokenizerSource: 'b' }), /tokenizer: got "a", but model_loading_config/u);
});

test('lora_config enables adapters at run time', () => {
  const engine = vllm.configure({ max_lora_rank: 32 }, { lora: { maxAdaptersPerReplica: 4 } });
  const { args: argv, env } = engine.command(launch);
  assert.deepEqual(argv, [
    ...always,
    '--max-lora-rank',
    '32',
    '--enable-lora',
    '--max-loras',
    '4',
    '--max-cpu-loras',
    '4',
    '--api-server-count',
    '1',
  ]);
  assert.equal(env['VLLM_ALLOW_RUNTIME_LORA_UPDATING'], 'True');
  assert.deepEqual(engine.notes, []);
});

const loras: readonly (readonly [Record<string, unknown>, readonly [maxLoras: string, maxCpuLoras: string], RegExp | undefined])[] = [
  [{ max_loras: 2 }, ['2', '4'], undefined],
  [{ max_loras: 8 }, ['8', '8'], /^max_loras: 8 slots take GPU memory/u],
  [{ max_loras: 1, max_cpu_loras: 2 }, ['1', '2'], /^max_cpu_loras: fewer than/u],
];
for (const [options, [maxLoras, maxCpuLoras], note] of loras) {
  test(`four adapters with ${JSON.stringify(options)}`, () => {
    const traits = { lora: { maxAdaptersPerReplica: 4 } };
    const argv = args(options, traits);
    assert.deepEqual([argv[argv.indexOf('--max-loras') + 1], argv[argv.indexOf('--max-cpu-loras') + 1]], [maxLoras, maxCpuLoras]);
    assert.equal(argv.filter((arg) => arg === '--max-loras').length, 1);
    const [first, ...more] = notes(options, traits);
    if (note === undefined) assert.equal(first, undefined);
    else assert.match(first ?? '', note);
    assert.deepEqual(more, []);
  });
}

test('a model that may sleep is started so that it can, with the routes for it', () => {
  const engine = vllm.configure({}, { sleeps: true });
  const { args, env } = engine.command(launch);
  assert.ok(args.includes('--enable-sleep-mode'));
  assert.equal(env['VLLM_SERVER_DEV_MODE'], '1');
  assert.match(engine.notes[0]?.message ?? '', /any user of this machine can call them/u);
  assert.deepEqual(
    [true, false, 'yes', undefined].map((is_sleeping) => engine.sleep?.readAsleep({ is_sleeping })),
    [true, false, undefined, undefined],
  );
  assert.equal(vllm.configure({ enable_sleep_mode: true }).sleep, undefined);
  assert.match(notes({ enable_sleep_mode: true })[0] ?? '', /^enable_sleep_mode: no effect: without gateway.idle.sleep_s/u);
});

test('enable_lora without lora_config is told', () => {
  assert.match(notes({ enable_lora: true })[0] ?? '', /^enable_lora: no effect on requests/u);
});

const refused: readonly (readonly [Record<string, unknown>, RegExp, ModelTraits?])[] = [
  [{ host: '0.0.0.0' }, /^engine_kwargs\.host: cannot be set: the gateway gives each replica its own loopback address$/u],
  [{ 'api-key': 'x' }, /api-key: cannot be set/u],
  [{ hf_token: 'x' }, /give HF_TOKEN in runtime_env\.env_vars/u],
  [{ served_model_name: 'x' }, /the served name is model_loading_config\.model_id/u],
  [{ ssl_keyfile: 'x' }, /plain HTTP/u],
  [{ data_parallel_size_local: 1 }, /a replica runs on one machine/u],
  [{ lora_modules: ['a=b'] }, /adapters come from lora_config/u],
  [{ config: 'x.yaml' }, /would hide options/u],
  [{ max_running_requests: 4 }, /no option of vLLM: vLLM calls it max_num_seqs/u],
  [{ max_num_seqs: 0 }, /max_num_seqs: got 0, expected a whole number from 1/u],
  [{ gpu_memory_utilization: 90 }, /got 90, expected a number above 0, at most 1/u],
  [{ tensor_parallel_size: '2' }, /got "2", expected a whole number/u],
  [{ trust_remote_code: 'yes' }, /got "yes", expected true or false/u],
  [{ max_lora_rank: 20 }, /got 20, expected 1, 8, 16/u],
  [{ task: 'score' }, /task: got "score": vLLM has runner and convert/u],
  [{ tp: 1, tensor_parallel_size: 2 }, /the option tensor_parallel_size is given twice/u],
  [{ '--seed': 1 }, /"--seed" is no option name/u],
  [{ seed: Number.NaN }, /seed: got NaN/u],
  [{ revision: 'a\0b' }, /revision: got "a\\u0000b"/u],
  [{ enable_sleep_mode: false }, /enable_sleep_mode: got false, but there is gateway.idle.sleep_s/u, { sleeps: true }],
  [{ enable_lora: false }, /enable_lora: got false, but there is a lora_config/u, { lora: { maxAdaptersPerReplica: 1 } }],
  [{ api_server_count: 2 }, /api_server_count: vLLM loads adapters at run time with one/u, { lora: { maxAdaptersPerReplica: 1 } }],
  [{ max_loras: 4 }, /max_loras: got 4, expected at least 5/u, { lora: { maxAdaptersPerReplica: 4, cpu: true } }],
  [{ max_loras: 4, max_cpu_loras: 2 }, /max_cpu_loras: got 2, expected at least max_loras \(4\)/u, { lora: { maxAdaptersPerReplica: 4 } }],
];
for (const [options, message, traits] of refused) {
  test(`options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(
      () => vllm.configure(options, traits),
      (error) => {
        assert.ok(error instanceof EngineOptionError);
        assert.match(error.message, message);
        assert.ok(Object.keys(options).includes(String(error.problems[0]?.path[0])));
        return true;
      },
    );
  });
}

const help = readFileSync(new URL('../../fixtures/engines/vllm/help.txt', import.meta.url), 'utf8');

test('options are checked against the help of the installed version', () => {
  const engine = vllm.configure({ max_modle_len: 1, swap_space: 4, tp: 1, no_enable_prefix_caching: true, bogus: 1 });
  assert.deepEqual(engine.checkOptions?.(engine.help?.read(help) ?? new Set()), [
    { path: ['max_modle_len'], message: 'no option of the installed vLLM; did you mean "max_model_len"?' },
    { path: ['bogus'], message: 'no option of the installed vLLM' },
  ]);
  assert.equal(engine.help?.read('Traceback (most recent call last):\n  --x y'), undefined);
});

test('whatever the gateway itself passes is in the help too', () => {
  const traits = { lora: { maxAdaptersPerReplica: 2 }, tokenizerSource: 'x' };
  for (const flag of args({}, traits).filter((arg) => arg.startsWith('--'))) assert.match(help, new RegExp(`^ {2}${flag}[ ,]`, 'mu'));
});

test('no option, whatever its value, starts another option or moves the address', () => {
  const name = fc.stringMatching(/^[a-z][a-z_]{0,12}$/u);
  const value = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
  fc.assert(
    fc.property(name, value, (option, given) => {
      let argv: readonly string[];
      try {
        argv = args({ [`x_${option}`]: given });
      } catch (error) {
        assert.ok(error instanceof EngineOptionError);
        return;
      }
      assert.deepEqual(argv.slice(0, always.length), always);
      const flags = argv.slice(always.length).filter((arg) => arg.startsWith('-'));
      assert.equal(flags.length, 1);
      assert.ok(flags[0]?.startsWith('--x-'));
    }),
  );
});
