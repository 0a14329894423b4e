import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { loadConfig, type LoadedConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { commandOf, plannedOn } from '../support/planned.ts';
import { deps, loadText, problemsOf } from './load-text.ts';

const folder = join(import.meta.dirname, 'ray');
const load = (name: string): LoadedConfig => loadConfig(join(folder, name), { ...deps, engines });
const yamlFiles = (name: string): string[] => readdirSync(name).filter((file) => file.endsWith('.yaml'));
const first = (name: string): Config['models'][number] => load(name).config.models[0] ?? assert.fail('no model');

/** A part of the command, in order, for each shape that Ray's documentation shows. */
const commands: Readonly<Record<string, RegExp>> = {
  'asleep.yaml': /^serve Qwen\/Qwen3-4B .*--language-model-only --default-chat-template-kwargs \{"enable_thinking":false\}/,
  'autoscaling.yaml': /^serve Qwen\/Qwen2\.5-0\.5B-Instruct /,
  'autoscaling-policy.yaml': /^serve Qwen\/Qwen2\.5-0\.5B-Instruct /,
  'bucket.yaml': /^serve <model> /,
  'bundle-per-worker.yaml': /--tensor-parallel-size 4/,
  'cpu.yaml': /^(?!.*log-stats).*--enforce-eager/,
  'cross-node-parallelism.yaml': /--tensor-parallel-size 2 --pipeline-parallel-size 2/,
  'custom-tokenizer.yaml': /--tokenizer meta-llama\/Llama-3\.1-8B-Instruct .*--trust-remote-code/,
  'data-parallel-option.yaml': /--data-parallel-size 2 .*--enable-expert-parallel/,
  'embeddings.yaml': /--runner pooling/,
  'fractional-gpu.yaml': /--gpu-memory-utilization 0\.4/,
  'gated-model.yaml': /--tokenizer meta-llama\/Llama-3\.1-8B-Instruct/,
  'gpu-kind.yaml': /--tensor-parallel-size 2 --speculative-config \{"method":"ngram",/,
  'generated.yaml': /--enable-lora .*--max-num-seqs 64|--max-num-seqs 64 .*--enable-lora/,
  'kube-service.yaml': /^serve Qwen\/Qwen2\.5-7B-Instruct .*--dtype bfloat16 --max-model-len 4096 --gpu-memory-utilization 0\.75/,
  'kv-aware-routing.yaml': /^serve Qwen\/Qwen3-0\.6B /,
  'kv-offloading.yaml': /--kv-transfer-config \{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"\}/,
  'mistral-format.yaml': /^serve openai\/whisper-large-v3 /,
  'model-files.yaml': /--max-model-len 4096/,
  'multi-lora.yaml': /--enable-lora/,
  'multi-model.yaml': /--served-model-name qwen-0\.5b/,
  'native-kv-offloading.yaml': /--kv-offloading-backend native --kv-offloading-size 8/,
  'no-source.yaml': /^serve Qwen\/Qwen2\.5-0\.5B-Instruct /,
  'overrides.yaml': /--hf-overrides \{"architectures":\["Qwen3ForSequenceClassification"\],/,
  'prefix-aware-routing.yaml': /^serve /,
  'quick-start.yaml': /^serve Qwen\/Qwen2\.5-0\.5B-Instruct /,
  'sglang.yaml': /--model-path unsloth\/Llama-3\.1-8B-Instruct .*--tp-size 1/,
  'several-connectors.yaml': /--tensor-parallel-size 4 --pipeline-parallel-size 2 .*"connectors":\[\{"kv_connector":"LMCacheConnectorV1",/,
  'streamed-weights.yaml': /^serve gs:\/\/my-bucket\/m .*--load-format runai_streamer/,
  'structured-output.yaml': /--structured-outputs-config \{"backend":"xgrammar"\}/,
  'token-in-options.yaml': /^(?!.*YOUR-TOKEN)(?!.*hf-token)serve .*--max-model-len 8192/,
  'tools-and-reasoning.yaml': /--enable-auto-tool-choice --tool-call-parser qwen3_coder --reasoning-parser qwen3/,
  'transcription.yaml': /^serve openai\/whisper-large-v3 .*--limit-mm-per-prompt \{"audio":1\}/,
  'two-applications.yaml': /^serve qwen-0\.5b /,
  'vision-and-tools.yaml': /--tool-call-parser hermes/,
  'whole-cluster.yaml': /^serve Qwen\/Qwen2\.5-0\.5B-Instruct /,
};

/** What is refused, and how that is told. */
const refused: readonly (readonly [string, RegExp])[] = [
  ['azure.yaml', /Azure storage is not supported in this version; give an https/],
  ['prefill-decode-internal.yaml', /prefill and decode on engines of their own are not supported/],
  ['prefill-decode.yaml', /prefill and decode on engines of their own are not supported/],
  ['data-parallel.yaml', /set data_parallel_size in engine_kwargs, or num_replicas/],
  ['own-code.yaml', /Python code of your own is not run/],
  ['callback.yaml', /code of your own is not run/],
  ['tpu.yaml', /TPUs are not supported/],
  ['npu.yaml', /NPUs are not supported/],
];

describe('a YAML file as Ray documents it', () => {
  it('has a command to be checked by, whichever it is', () => assert.deepEqual(yamlFiles(folder).sort(), Object.keys(commands).sort()));
  for (const [name, expected] of Object.entries(commands)) {
    it(`${name} is accepted unmodified, and a sensible command is planned for it`, async () => {
      const { config } = load(name);
      const plan = await plannedOn(8, config);
      for (const model of config.models) assert.ok(commandOf(plan, model.name).includes(` --served-model-name ${model.name} `), model.name);
      assert.match(commandOf(plan, config.models[0]?.name ?? ''), /^(?:vllm|sglang) serve .*--host 127\.0\.0\.1 --port <port> /);
      assert.match(commandOf(plan, config.models[0]?.name ?? '').replace(/^\S+ /, ''), expected);
      assert.deepEqual(
        plan.replicas.filter((replica) => replica.kind === 'process' && replica.gpus.kind === 'unplaced'),
        [],
      );
    });
  }
  it('is refused only where it is tested why', () =>
    assert.deepEqual(yamlFiles(join(folder, 'refused')).sort(), refused.map(([name]) => name).sort()));
  for (const [name, reason] of refused) {
    it(`refused/${name} is refused with the reason, and nothing else is wrong with it`, () => {
      const problems = problemsOf(() => load(`refused/${name}`));
      for (const { message } of problems) assert.match(message, reason);
    });
  }
});

/** A model on four GPUs, with these lines after it. */
const parallel = (more: string): string =>
  `llm_configs:\n  - model_loading_config: {model_id: m}\n    engine_kwargs: {tensor_parallel_size: 4}\n${more}`;

describe('parallel sizes', () => {
  for (const [name, more, place] of [
    ['gateway.gpus', '    gateway: {gpus: 2}\n', 'llm_configs[0].gateway.gpus'],
    ['the bundles', '    placement_group_config: {bundles: [{GPU: 1}, {GPU: 1}]}\n', 'llm_configs[0].placement_group_config'],
  ] as const) {
    it(`above ${name} are refused`, (t) => {
      const problems = problemsOf(() => loadText(t, parallel(more), { engines }));
      assert.deepEqual(
        problems.map(({ path, message }) => [path, message]),
        [[place, '2 GPUs, but the parallel sizes in engine_kwargs need 4; expected as many']],
      );
    });
  }
  it('may be any on the CPU, and below what is given', (t) => {
    assert.equal(loadText(t, parallel('    gateway: {gpus: 0}\n'), { engines }).config.models[0]?.gpus, 0);
    assert.equal(loadText(t, parallel('    gateway: {gpus: 8}\n'), { engines }).config.models[0]?.gpus, 8);
  });
});

describe('a file of a thousand models', () => {
  it('is read whole, and told the last one’s mistake at its place', (t) => {
    const entries = Array.from(
      { length: 1000 },
      (_, at) =>
        `  - model_loading_config: {model_id: m${at}}\n    accelerator_type: L4\n    engine_kwargs: {max_model_len: 4096, seed: ${at}}\n`,
    );
    const text = `llm_configs:\n${entries.join('')}`;
    assert.deepEqual(
      loadText(t, text, { engines }).config.models.map(({ name, engineOptions }) => [name, engineOptions['seed']]),
      entries.map((_, at) => [`m${at}`, at]),
    );
    const again = problemsOf(() => loadText(t, `${text}  - model_loading_config: {model_id: m7}\n`, { engines }));
    assert.deepEqual(
      again.map(({ line, column, path }) => [line, column, path]),
      [[3002, 38, 'llm_configs[1000].model_loading_config.model_id']],
    );
  });
});

describe('what Ray’s files say', () => {
  it('of accelerators is in Ray’s spelling', () => {
    assert.deepEqual(
      load('multi-model.yaml').config.models.map((model) => model.acceleratorType),
      ['A10G', 'A10G'],
    );
  });
  it('of placement gives the GPUs of a replica, parts of one rounded up', () => {
    assert.equal(first('cross-node-parallelism.yaml').gpus, 4);
    assert.equal(first('fractional-gpu.yaml').gpus, 1);
    assert.equal(first('quick-start.yaml').gpus, undefined);
    assert.equal(first('cpu.yaml').gpus, 0);
    assert.equal(first('bundle-per-worker.yaml').gpus, undefined);
  });
  it('of adapters reaches the engine', () => {
    assert.deepEqual(first('multi-lora.yaml').traits, { lora: { maxAdaptersPerReplica: 16 } });
  });
  for (const name of ['prefix-aware-routing.yaml', 'kv-aware-routing.yaml'])
    it(`of routers is followed: ${name}`, () => assert.deepEqual(first(name).routing, { kind: 'prefix' }));
  it('of a token among the options reaches the engine by its environment only', () => {
    const { env, engineOptions } = first('token-in-options.yaml');
    assert.equal(env['HF_TOKEN'], '<YOUR-TOKEN-HERE>');
    assert.deepEqual(engineOptions, { max_model_len: 8192 });
    const told = load('token-in-options.yaml').warnings.map(({ path, message }) => `${path}: ${message}`);
    assert.match(told.join('\n'), /engine_kwargs\.hf_token: given to the engine as HF_TOKEN/);
    assert.ok(!told.join('\n').includes('YOUR-TOKEN'));
  });
  it('in a manifest for Kubernetes is told at its place there, and that the rest of it has no effect', (t) => {
    const manifest = readFileSync(join(folder, 'kube-service.yaml'), 'utf8');
    assert.deepEqual(
      load('kube-service.yaml').warnings.map(({ line, column, message }) => [line, column, message.slice(0, 52)]),
      [[3, 1, 'a RayService: its spec.serveConfigV2 is read, the re']],
    );
    const wrong = manifest.replace('max_ongoing_requests: 128', 'max_ongoing_request: 128');
    assert.deepEqual(
      problemsOf(() => loadText(t, wrong, { engines })).map(({ line, column, message }) => [line, column, message]),
      [[24, 17, 'unknown key "max_ongoing_request"; did you mean "max_ongoing_requests"?']],
    );
  });
  it('of the server class selects the engine', () => assert.equal(first('sglang.yaml').engine, 'sglang'));
  it('in old names is pointed out with the new ones', () => {
    const told = load('autoscaling.yaml').warnings.map(({ path, message }) => `${path.split('.').at(-1) ?? ''}: ${message}`);
    for (const hint of [/^smoothing_factor: .*write upscaling_factor/, /^num_router_replicas: .*num_ingress_replicas/]) {
      assert.ok(
        told.some((line) => hint.test(line)),
        told.join('\n'),
      );
    }
  });
  it('in options that the engine dropped is a warning with its place', () => {
    const places = load('gated-model.yaml').warnings.map(({ path }) => path.split('.').at(-1));
    assert.ok(places.includes('swap_space') && places.includes('tokenizer_pool_size'), places.join());
  });
});
