import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { schemaText } from '../../src/cli/schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { commandOf, plannedOn } from '../support/planned.ts';
import { deps, loadText, temporaryFolder } from './load-text.ts';

const configs = join(import.meta.dirname, '../../configs');

/** What an engine printed for its help. */
const helpText = (engine: string): string => readFileSync(new URL(`../fixtures/engines/${engine}/help.txt`, import.meta.url), 'utf8');

/** A part of the command of each model, in order. */
const planned: Readonly<Record<string, readonly RegExp[]>> = {
  'applications.yaml': [/--served-model-name=chat-1$/, /--served-model-name=chat-2$/],
  'autoscaling.yaml': [/--served-model-name=fake .*--max-num-seqs=4/],
  'browser.yaml': [/--served-model-name=fake$/],
  'embeddings.yaml': [/^llama-server -hf nomic-ai\/nomic-embed-text-v1\.5-GGUF:Q4_K_M .*--embeddings --pooling mean/],
  'environment.yaml': [/--served-model-name=fake$/],
  'fake.yaml': [/engine\.ts .*--served-model-name=fake --prefill-s=0\.2 --tokens-per-s=20/],
  'gpus.yaml': [
    /--served-model-name chat .*--gpu-memory-utilization 0\.4/,
    /--served-model-name code .*--gpu-memory-utilization 0\.4/,
    /--served-model-name large .*--tensor-parallel-size 2/,
  ],
  'hub-model.yaml': [/^llama-server -m <model> .*-np 2 .*--ctx-size 4096/],
  'keys.yaml': [/--served-model-name=fake$/, /--served-model-name=fake-large$/],
  'lora.yaml': [/^vllm serve Qwen\/Qwen2\.5-0\.5B-Instruct .*--enable-lora --max-loras 4 --max-lora-rank 32/],
  'on-demand.yaml': [/--served-model-name=chat$/, /--served-model-name=code$/, /--served-model-name=translate$/],
  'ray-serve.yaml': [/--served-model-name=qwen2\.5-7b$/, /--served-model-name=qwen2\.5-0\.5b$/],
  'resume-streams.yaml': [/--tokens=60 --tokens-per-s=20 --exit-after-tokens=100/],
  'routing.yaml': [/--served-model-name=chat$/, /--served-model-name=long-prompts$/],
  'scale-to-zero.yaml': [/--served-model-name=fake --ready-after-s=2 --max-num-seqs=4/],
  's3-model.yaml': [/^vllm serve <model> .*--max-model-len 8192/],
  'settings.yaml': [/--served-model-name=fake$/],
  'sglang.yaml': [/^sglang serve --model-path Qwen\/Qwen2\.5-7B-Instruct .*--context-length 8192/],
  'structured-output.yaml': [/^vllm serve .*--structured-outputs-config \{"backend":"xgrammar"\}/],
  'tools.yaml': [/--enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser qwen3/],
  'vision.yaml': [/^llama-server -hf ggml-org\/SmolVLM-500M-Instruct-GGUF .*-np 2 .*--ctx-size 8192/],
  'vllm.yaml': [/^vllm serve Qwen\/Qwen2\.5-7B-Instruct .*--tensor-parallel-size 2 --max-model-len 8192/],
};

describe('the config files that come along', () => {
  for (const name of readdirSync(configs).filter((file) => file.endsWith('.yaml'))) {
    it(`${name} is accepted, without a warning of what it does not say itself`, (t) => {
      // In a copy beside a stand-in for the model, so that it need not have been fetched.
      const folder = temporaryFolder(t);
      cpSync(configs, join(folder, 'configs'), { recursive: true });
      mkdirSync(join(folder, '.quickstart'));
      writeFileSync(join(folder, '.quickstart/smollm2-135m-instruct-q4_1.gguf'), '');
      const { config, warnings } = loadConfig(join(folder, 'configs', name), { ...deps, engines });
      assert.deepEqual(
        warnings.map(({ path }) => path),
        [],
      );
      assert.ok(config.models.length > 0);
      assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8000 });
      const text = readFileSync(join(configs, name), 'utf8');
      assert.match(text, /^# yaml-language-server: \$schema=\.\/schema\.json\n# \S/);
    });
  }

  it('settings.yaml has each setting at its default', (t) => {
    const { files, models, ...settings } = loadConfig(join(configs, 'settings.yaml'), { ...deps, engines }).config;
    const least = loadText(t, 'llm_configs: [{model_loading_config: {model_id: fake}, llm_engine: fake}]\n').config;
    assert.deepEqual({ ...settings, models, files }, { ...least, files });
  });

  it('schema.json is what the schema in the code says (gateway schema > configs/schema.json)', () => {
    assert.deepEqual(JSON.parse(readFileSync(join(configs, 'schema.json'), 'utf8')), JSON.parse(schemaText()));
  });

  it('quickstart.yaml runs the fetched engine on the fetched model', async (t) => {
    const folder = temporaryFolder(t);
    cpSync(configs, join(folder, 'configs'), { recursive: true });
    mkdirSync(join(folder, '.quickstart'));
    const model = join(folder, '.quickstart/smollm2-135m-instruct-q4_1.gguf');
    writeFileSync(model, '');
    const { config } = loadConfig(join(folder, 'configs/quickstart.yaml'), { ...deps, engines });
    assert.deepEqual(config.engineCommands.get('llamacpp'), [join(folder, '.quickstart/llama-server')]);
    assert.deepEqual(
      config.models.map(({ name, source, replicas }) => [name, source, replicas]),
      [['smollm2-135m', { kind: 'path', value: model }, 2]],
    );
    const command = commandOf(await plannedOn(0, config), 'smollm2-135m');
    assert.ok(command.startsWith(`${join(folder, '.quickstart/llama-server')} -m ${model} --host 127.0.0.1 --port <port> `), command);
  });

  it('several files are one config', () => {
    const files = ['models.yaml', 'laptop.yaml'].map((name) => join(configs, 'several-files', name));
    const { config, warnings } = loadConfig(files, { ...deps, engines });
    assert.deepEqual([config.models.length, config.workers, config.logLevel, warnings], [1, 1, 'debug', []]);
    assert.deepEqual(
      files,
      readdirSync(join(configs, 'several-files'))
        .map((name) => join(configs, 'several-files', name))
        .toSorted()
        .toReversed(),
    );
    for (const file of files) assert.match(readFileSync(file, 'utf8'), /^# yaml-language-server: \$schema=\.\.\/schema\.json\n# \S/);
  });

  it('applications.yaml has one name for clients under both routes', () => {
    const { config } = loadConfig(join(configs, 'applications.yaml'), { ...deps, engines });
    assert.deepEqual([config.apps.get('/stable')?.get('chat'), config.apps.get('/next')?.get('chat')], ['chat-1', 'chat-2']);
  });

  it('the options in them are known to the engines', () => {
    for (const name of readdirSync(configs).filter((file) => file.endsWith('.yaml') && file !== 'quickstart.yaml')) {
      for (const model of loadConfig(join(configs, name), { ...deps, engines }).config.models) {
        const engine = engines.get(model.engine)?.configure(model.engineOptions, model.traits) ?? assert.fail(model.engine);
        if (engine.help === undefined) continue;
        const installed = engine.help.read(helpText(model.engine)) ?? assert.fail(`the help of ${model.engine} cannot be read`);
        assert.deepEqual(engine.checkOptions?.(installed), [], name);
      }
    }
  });

  for (const [name, words] of Object.entries(planned)) {
    it(`${name} is planned as it means: a sensible command for each model`, async () => {
      const { config } = loadConfig(join(configs, name), { ...deps, engines });
      const plan = await plannedOn(2, config);
      const commands = config.models.map((model) => commandOf(plan, model.name));
      for (const command of commands) assert.match(command, / --host 127\.0\.0\.1 --port <port> /);
      assert.equal(commands.length, words.length);
      for (const [at, expected] of words.entries()) assert.match(commands[at] ?? '', expected);
    });
  }

  it('upstreams.yaml is planned without a process', async () => {
    const { replicas } = await plannedOn(0, loadConfig(join(configs, 'upstreams.yaml'), { ...deps, engines }).config);
    assert.deepEqual(
      replicas.map((replica) => replica.kind === 'upstream' && replica.url),
      ['http://127.0.0.1:8081', 'http://127.0.0.1:8082'],
    );
  });

  it('every one of them is planned', () => {
    // The quickstart needs what it fetches; it is looked at above.
    const files = readdirSync(configs).filter((file) => file.endsWith('.yaml') && file !== 'quickstart.yaml');
    assert.deepEqual([...Object.keys(planned), 'upstreams.yaml'].sort(), files.sort());
  });

  it('ray-serve.yaml has a model under each of its two routes', () => {
    const { config } = loadConfig(join(configs, 'ray-serve.yaml'), { ...deps, engines });
    assert.deepEqual(
      [...config.apps].map(([prefix, names]) => [prefix, [...names.keys()]]),
      [
        ['', ['qwen2.5-7b']],
        ['/drafts', ['qwen2.5-0.5b']],
      ],
    );
  });
});
