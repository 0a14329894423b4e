import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parse } from 'yaml';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { readCommand } from '../../src/plugins/command-reader.ts';
import { engines } from '../../src/plugins/registry.ts';
import { shellWords } from '../../src/cli/import/shell-words.ts';

interface Result {
  readonly status: number | null;
  readonly config: string;
  readonly stderr: string;
  load(): Config;
}

function run(t: TestContext, from: 'ray' | 'llama-swap', files: Readonly<Record<string, string>>): Result {
  const directory = mkdtempSync(join(tmpdir(), 'import-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  const program = join(import.meta.dirname, '../../src/main.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'import', from, 'in.yaml'], {
    cwd: directory,
    encoding: 'utf8',
  });
  return {
    status,
    config: stdout,
    stderr,
    load: () => {
      writeFileSync(join(directory, 'out.yaml'), stdout);
      const deps = { env: { MODELS: directory }, engines, cores: 2, homeDir: '/home/nobody' };
      return loadConfig(join(directory, 'out.yaml'), deps).config;
    },
  };
}

const llamaSwap = `
healthCheckTimeout: 500
startPort: 10001
globalTTL: 0
apiKeys: [sk-secret]
macros:
  latest: llama-server --port \${PORT}
  ctx: 4096
  args: --ctx-size \${ctx} --jinja
models:
  small:
    cmd: |
      # the small one
      \${latest} \${args}
      -m \${env.MODELS}/small.gguf -ngl 99 --no-mmap \\
      --temp 0.7 -fa on
    env: ["GGML_X=1", "CUDA_VISIBLE_DEVICES=0,1"]
    ttl: 60
    concurrencyLimit: 3
    aliases: [gpt, {id: mini, unlisted: true}]
    filters: {stripParams: temperature}
  big:
    macros: {ctx: 8192}
    cmd: vllm serve Qwen/Qwen3-8B --host 0.0.0.0 --port \${PORT} --max-model-len \${ctx} --enforce-eager --served-model-name big
    proxy: http://127.0.0.1:\${PORT}
  sg:
    cmd: python3 -m sglang.launch_server --model-path Qwen/Qwen3-8B --port \${PORT} --context-length=4096
  docker:
    cmd: docker run --rm image
  broken:
    cmd: llama-server -m 'x
`;

describe('gateway import llama-swap', () => {
  it('turns commands into engines and their options, and the result loads', (t) => {
    const result = run(t, 'llama-swap', { 'in.yaml': llamaSwap, 'small.gguf': '' });
    assert.equal(result.status, 0, result.stderr);
    const { llm_configs: models } = parse(result.config) as { llm_configs: readonly Record<string, unknown>[] };
    assert.deepEqual(models[0], {
      model_loading_config: { model_id: 'small', model_source: '${MODELS}/small.gguf' },
      llm_engine: 'llamacpp',
      engine_kwargs: { ctx_size: 4096, jinja: true, n_gpu_layers: 99, no_mmap: true, temp: 0.7, flash_attn: 'on' },
      deployment_config: {
        autoscaling_config: { min_replicas: 0, max_replicas: 1, downscale_to_zero_delay_s: 60 },
        max_ongoing_requests: 3,
      },
      runtime_env: { env_vars: { GGML_X: '1' } },
      gateway: { aliases: ['gpt', 'mini'], gpus: 2 },
    });
    assert.deepEqual(models[1], {
      model_loading_config: { model_id: 'big', model_source: 'Qwen/Qwen3-8B' },
      llm_engine: 'vLLM',
      engine_kwargs: { max_model_len: 8192, enforce_eager: true },
    });
    assert.deepEqual(models[2]?.['engine_kwargs'], { context_length: 4096 });
    // Unquoted it would be true to Ray's reader of YAML, and the loader would say so.
    assert.match(result.config, /flash_attn: "on"\n/u);
    const config = result.load();
    assert.deepEqual(
      config.models.map(({ name, engine }) => `${name} ${engine}`),
      ['small llamacpp', 'big vllm', 'sg sglang'],
    );
    assert.equal(config.models[0]?.startupTimeoutMs, 500_000);
    assert.equal(config.enginePorts.first, 10_001);
  });

  it('tells what has no counterpart, on stderr and on top of the config', (t) => {
    const { stderr, config } = run(t, 'llama-swap', { 'in.yaml': llamaSwap, 'small.gguf': '' });
    for (const line of [
      /apiKeys: ATTENTION: requests are served without a key/,
      /models\.small\.filters: no counterpart/,
      /models\.small\.env: CUDA_VISIBLE_DEVICES=0,1: the gateway gives each replica its GPUs/,
      /models\.small\.cmd: port /,
      /models\.big\.proxy: a replica gets an address of its own/,
      /models\.docker\.cmd: "docker" starts no engine that is known here; the model is left out/,
      /models\.broken\.cmd: a quote is not closed; the model is left out/,
    ]) {
      assert.match(stderr, line);
      assert.match(config, line);
    }
    assert.doesNotMatch(stderr + config, /sk-secret/);
  });

  it('says what is wrong with a file that is no config of llama-swap', (t) => {
    const { status, stderr, config } = run(t, 'llama-swap', { 'in.yaml': 'models: {a: {cmd: 3}}\n' });
    assert.deepEqual([status, config], [4, '']);
    assert.match(stderr, /in\.yaml: models\.a\.cmd: .*expected string/);
    assert.match(run(t, 'llama-swap', { 'in.yaml': 'models: {\n' }).stderr, /in\.yaml:\d+:\d+: not valid YAML/);
    assert.equal(run(t, 'llama-swap', {}).status, 4);
  });
});

describe('gateway import ray', () => {
  it('drops what has no effect, keeps comments and the rest, and takes in entries of other files', (t) => {
    const result = run(t, 'ray', {
      'in.yaml': `
proxy_location: EveryNode
applications:
  # the chat
  - name: chat
    route_prefix: /
    import_path: ray.serve.llm:build_openai_app
    args:
      llm_configs:
        - models/a.yaml
        - model_loading_config: {model_id: b}
          llm_engine: fake
          runtime_env: {pip: [x]}
`,
      'models/a.yaml': 'model_loading_config:\n  model_id: a # first\nllm_engine: fake\n',
    });
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.config, /# the chat/);
    assert.match(result.config, /model_id: a # first/);
    assert.doesNotMatch(result.config, /^proxy_location|^ *pip:|^ *runtime_env/m);
    assert.match(result.stderr, /left out: proxy_location: no effect here/);
    assert.match(result.stderr, /llm_configs\[1\]\.runtime_env\.pip: no effect here/);
    assert.deepEqual(
      result.load().models.map(({ name }) => String(name)),
      ['a', 'b'],
    );
  });
});

describe('a command', () => {
  for (const [text, words] of [
    [`a  b\n\tc`, ['a', 'b', 'c']],
    [`a 'b c' "d \\"e\\" $F" g\\ h`, ['a', 'b c', 'd "e" $F', 'g h']],
    [`a \\\n b # rest 'open\nc#d`, ['a', 'b', 'c#d']],
    [`--x='{"a": 1}' ''`, ['--x={"a": 1}', '']],
    [`a 'b`, undefined],
    [`a "b`, undefined],
  ] as const) {
    it(`is split as a shell does: ${JSON.stringify(text)}`, () => assert.deepEqual(shellWords(text), words));
  }

  for (const [line, expected] of [
    ['llama-server -m x.gguf -c 1 --lora a --lora b -ngl -1', { ctx_size: 1, lora: ['a', 'b'], n_gpu_layers: -1 }],
    ['/opt/vllm serve m', {}],
    ['vllm serve m --allowed-media-domains a b --seed 007', { allowed_media_domains: ['a', 'b'], seed: '007' }],
  ] as const) {
    it(`is read as options: ${line}`, () => assert.deepEqual(readCommand(line.split(' '))?.options, expected));
  }

  it('keeps an executable that is not the usual one', () => {
    assert.deepEqual(readCommand(['/opt/llama-server-b1', '-m', 'x'])?.command, ['/opt/llama-server-b1']);
    assert.equal(readCommand(['llama-server', '-m', 'x'])?.command, undefined);
    assert.deepEqual(readCommand(['/venv/bin/python', '-m', 'sglang.launch_server', '--model', 'x'])?.command, ['/venv/bin/sglang']);
    assert.equal(readCommand(['python3', '-m', 'sglang.launch_server', '--model', 'x'])?.command, undefined);
    assert.equal(readCommand(['ollama', 'serve']), undefined);
  });
});
