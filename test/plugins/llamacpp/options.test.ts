import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Launch } from '../../../src/plugins/engine-plugin.ts';
import { EngineOptionError } from '../../../src/plugins/engine-plugin.ts';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import { optionsOf } from '../../../src/plugins/help-options.ts';
import { negatable, onOffAuto, ownedByGateway, shortNames } from '../../../src/plugins/llamacpp/option-names.ts';

const launch: Launch = {
  model: { kind: 'path', value: '/models/a b.gguf' },
  servedName: 'org/model:1',
  port: 20_001,
  innerPort: 20_101,
  apiKey: 'secret',
  stopGraceS: 3,
};
const fixed = ['-m', '/models/a b.gguf', '--host', '127.0.0.1', '--port', '20001', '-a', 'org/model:1'];
const always = ['--metrics', '--no-ui', '--sse-ping-interval', '-1'];

const args = (options: Record<string, unknown>): readonly string[] => llamacpp.configure(options).command(launch).args;

test('without options: four slots that share the context, as llama-server itself chooses', () => {
  assert.deepEqual(args({}), [...fixed, '-np', '4', ...always, '--kv-unified']);
  assert.equal(llamacpp.configure({}).concurrency, 4);
});

test('the key is in the environment only', () => {
  const { args: argv, env } = llamacpp.configure({}).command(launch);
  assert.deepEqual(env, { LLAMA_API_KEY: 'secret' });
  assert.ok(!argv.some((arg) => arg.includes('secret')));
});

test('a reference is left to the engine to fetch', () => {
  const { args: argv } = llamacpp.configure({}).command({ ...launch, model: { kind: 'reference', value: 'org/repo:Q4_K_M' } });
  assert.deepEqual(argv.slice(0, 2), ['-hf', 'org/repo:Q4_K_M']);
});

const written: readonly (readonly [Record<string, unknown>, readonly string[]])[] = [
  [{ ctx_size: 8192 }, ['--ctx-size', '8192']],
  [
    { c: 8192, t: 1, tb: 2, ngl: 'all', b: 64, ub: 32 },
    ['--ctx-size', '8192', '--threads', '1', '--threads-batch', '2', '--n-gpu-layers', 'all', '--batch-size', '64', '--ubatch-size', '32'],
  ],
  [{ 'ctx-size': 8192 }, ['--ctx-size', '8192']],
  [{ jinja: true, warmup: false }, ['--jinja', '--no-warmup']],
  [{ embeddings: false, props: true }, ['--props']],
  [{ flash_attn: true, fit: false, reasoning: 'auto' }, ['--flash-attn', 'on', '--fit', 'off', '--reasoning', 'auto']],
  [{ fa: 'on' }, ['--flash-attn', 'on']],
  [{ seed: -1, temp: 0.5, poll: 0 }, ['--seed', '-1', '--temp', '0.5', '--poll', '0']],
  [{ tensor_split: [3, 1], tools: [] }, ['--tensor-split', '3,1']],
  [{ chat_template_kwargs: { enable_thinking: false } }, ['--chat-template-kwargs', '{"enable_thinking":false}']],
  [{ chat_template: '$(reboot); "x"\n', top_k: null }, ['--chat-template', '$(reboot); "x"\n']],
  [{ no_kv_offload: true }, ['--no-kv-offload']],
];
for (const [options, expected] of written) {
  test(`options ${JSON.stringify(options)} as arguments`, () => {
    assert.deepEqual(args({ parallel: 2, ...options }), [...fixed, '-np', '2', ...always, ...expected]);
  });
}

for (const [layers, gpus] of [
  [undefined, 0],
  [0, 0],
  ['auto', 0],
  [99, 1],
  [-1, 1],
  ['all', 1],
] as const) {
  test(`n_gpu_layers ${layers} needs ${gpus} GPUs`, () => {
    assert.deepEqual(llamacpp.configure(layers === undefined ? {} : { n_gpu_layers: layers }).needs, {
      gpus,
      memoryShare: 1,
      optional: true,
    });
  });
}

test('with parallel or kv_unified given, the context is divided as the config says', () => {
  assert.ok(!args({ np: 3 }).includes('--kv-unified'));
  assert.equal(llamacpp.configure({ np: 3 }).concurrency, 3);
  assert.deepEqual(args({ kv_unified: false }).slice(-1), ['--no-kv-unified']);
});

const refused: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ host: '0.0.0.0' }, /^engine_kwargs\.host: cannot be set: the gateway gives each replica its own loopback address$/u],
  [{ port: 1 }, /port: cannot be set/u],
  [{ 'api-key': 'x' }, /api-key: cannot be set: the gateway gives each replica its own key/u],
  [{ m: 'x' }, /m: cannot be set: the model is what model_loading_config/u],
  [{ no_metrics: true }, /no_metrics: cannot be set/u],
  [{ no_ui: true }, /no_ui: cannot be set/u],
  [{ log_disable: true }, /the gateway reads the log/u],
  [{ version: true }, /llama-server would print something and exit/u],
  [{ max_num_seqs: 4 }, /no option of llama-server: llama-server calls it parallel/u],
  [{ parallel: 0 }, /parallel: got 0, expected a whole number from 1 to 1024/u],
  [{ parallel: -1 }, /parallel: got -1/u],
  [{ ctx_size: '8k' }, /ctx_size: got "8k", expected a whole number/u],
  [{ n_gpu_layers: 'most' }, /n_gpu_layers: got "most", expected a whole number, auto or all/u],
  [{ flash_attn: 'yes' }, /flash_attn: got "yes", expected on, off or auto/u],
  [{ c: 1, ctx_size: 2 }, /ctx_size: the option ctx_size is given twice/u],
  [{ '--seed': 1 }, /"--seed" is no option name/u],
  [{ 'a b': 1 }, /"a b" is no option name/u],
  [{ Seed: 1 }, /"Seed" is no option name/u],
  [{ temp: Number.NaN }, /temp: got NaN, expected a finite number/u],
  [{ lora: [['a']] }, /lora: got \[\["a"\]\], expected .* a flat list/u],
];
for (const [options, message] of refused) {
  test(`options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(
      () => llamacpp.configure(options),
      (error) => {
        assert.ok(error instanceof EngineOptionError);
        assert.match(error.message, message);
        assert.ok(Object.keys(options).includes(String(error.problems[0]?.path[0])));
        return true;
      },
    );
  });
}

test('all problems are told at once', () => {
  assert.throws(
    () => llamacpp.configure({ host: 'x', parallel: 0, ctx_size: -1, seed: 1 }),
    (error) => error instanceof EngineOptionError && error.problems.length === 3,
  );
});

test('no option reaches the command line that could take the gateway its replica', () => {
  const name = fc.oneof(fc.constantFrom(...ownedByGateway.keys()), fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}$/u));
  fc.assert(
    fc.property(fc.dictionary(name, fc.oneof(fc.boolean(), fc.string(), fc.integer())), (options) => {
      let argv: readonly string[];
      try {
        argv = args(options);
      } catch (error) {
        assert.ok(error instanceof EngineOptionError);
        return;
      }
      assert.deepEqual(argv.slice(0, fixed.length), fixed);
      const given = Object.keys(options).map((key) => key.replaceAll('-', '_').replace(/^no_/u, ''));
      assert.ok(!given.some((key) => ownedByGateway.has(key)));
    }),
  );
});

// llama-server 0.7.0 (build 11669).
const help = readFileSync(new URL('../../fixtures/engines/llamacpp/help.txt', import.meta.url), 'utf8');

test('options are checked against the help of the installed version', () => {
  const engine = llamacpp.configure({ ctx_sise: 1, ngl: 1, 'no-warmup': true, np: 2, cache_type_k: 'f16', bogus: 1 });
  assert.deepEqual(engine.checkOptions?.(engine.help?.read(help) ?? new Set()), [
    { path: ['ctx_sise'], message: 'no option of the installed llama-server; did you mean "ctx_size"?' },
    { path: ['bogus'], message: 'no option of the installed llama-server' },
  ]);
  assert.equal(engine.help?.read('error while loading shared libraries: libggml.so\n--x y'), undefined);
});

test('the help text has every option that the gateway gives or knows', () => {
  const options = optionsOf(help);
  const flags = [...args({}), ...args({ parallel: 2, n_gpu_layers: 1, ctx_size: 1 })].filter((arg) => arg.startsWith('--'));
  const known = [...flags.map((flag) => flag.slice(2).replaceAll('-', '_')), ...shortNames.values(), ...negatable, ...onOffAuto];
  assert.deepEqual(
    known.filter((name) => !options.has(name)),
    [],
  );
  assert.equal(options.has('webui') && options.has('no_ui') && options.has('threads'), true);
});

const lora = { maxAdaptersPerReplica: 4 };

test('adapters are loaded at scale 0, in the order of their handles', () => {
  const adapters = ['/a/one.gguf', '/b/two.gguf'].map((path) => ({ handle: 'x', path }));
  const engine = llamacpp.configure({}, { lora });
  const { args: argv } = engine.command({ ...launch, adapters });
  assert.deepEqual(argv.slice(-4), ['--lora-scaled', '/a/one.gguf:0', '--lora-scaled', '/b/two.gguf:0']);
  assert.equal(engine.lora?.kind === 'at-start' ? engine.lora.handle(1) : undefined, '1');
  assert.equal(llamacpp.configure({}).lora, undefined);
});

test('adapters of one’s own and those of lora_config exclude each other', () => {
  for (const name of ['lora', 'lora-scaled', 'lora_init_without_apply']) {
    assert.throws(
      () => llamacpp.configure({ [name]: 'x' }, { lora }),
      new RegExp(`engine_kwargs\\.${name}: cannot be set beside lora_config`),
    );
    assert.doesNotThrow(() => llamacpp.configure({ [name]: 'x' }));
  }
});
