import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { takeSuggestions } from '../../src/cli/init/ask.ts';
import { type Flags, interview } from '../../src/cli/init/interview.ts';
import { gpuOf, lookAround, type Machine } from '../../src/cli/init/machine.ts';
import { placeFiles } from '../../src/cli/init/place-files.ts';
import { fileName, renderFiles } from '../../src/cli/init/render.ts';
import type { LoadDeps } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { GpuDevice } from '../../src/supervisor/gpus/devices.ts';
import { knownModels } from '../../src/plugins/known-models.ts';

const deps: LoadDeps = { env: { HF_TOKEN: 'x' }, engines, cores: 4, homeDir: '/home/nobody' };
/** A card's product name, and its memory in MiB. */
type Card = readonly [name: string, mebibytes: number];
const gpus = (cards: readonly Card[]): Machine['gpus'] =>
  cards.map(([name, mebibytes]) => gpuOf({ name, memoryBytes: mebibytes * 1_048_576 }));
const machine = (cards: readonly Card[]): Machine => ({
  engines: new Map([...engines.keys()].map((name) => [name, name])),
  gpus: gpus(cards),
});

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'init-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function written(
  t: TestContext,
  flags: Flags,
  cards: readonly Card[] = [],
): Promise<{ model: string; config: ReturnType<typeof placeFiles> }> {
  const directory = folder(t);
  const place = { directory, exists: (): boolean => false };
  const drafts = renderFiles(await interview(flags, machine(cards), takeSuggestions, place));
  const config = placeFiles(directory, drafts, drafts[1], deps);
  return { model: readFileSync(join(directory, drafts[0].path), 'utf8'), config };
}

const h100: Card = ['NVIDIA H100 80GB HBM3', 81_559];

const table: readonly { readonly name: string; readonly flags: Flags; readonly gpus?: readonly Card[]; readonly has: readonly RegExp[] }[] =
  [
    { name: 'fake', flags: { engine: 'fake' }, has: [/model_id: fake\n/, /engine_kwargs: \{\}\n/, /num_replicas: 1\n/] },
    {
      name: 'llama.cpp on the CPU',
      flags: { engine: 'llamacpp', model: 'gemma-3-4b-it' },
      has: [/model_source: ggml-org\/gemma-3-4b-it-GGUF:Q4_K_M\n/, /ctx_size: 8192\n/],
    },
    {
      name: 'llama.cpp on a GPU',
      flags: { engine: 'LlamaCpp' },
      gpus: [h100],
      has: [/accelerator_type: H100\n/, /n_gpu_layers: 99\n/, /gateway:\n.*\n {2}gpus: 1\n/],
    },
    {
      name: 'vLLM, a model that needs two of four GPUs',
      flags: { engine: 'vllm', model: 'llama-3.3-70b-instruct', minReplicas: 1 },
      gpus: [h100, h100, h100, h100],
      has: [/tensor_parallel_size: 2\n/, /max_model_len: 4096\n/, /min_replicas: 1\n {4}max_replicas: 2\n/],
    },
    {
      name: 'vLLM with adapters and a token',
      flags: { engine: 'vllm', model: 'org/model', gpus: 1, gpuType: 'L4', loraPath: tmpdir(), maxLoras: 3, hfToken: true },
      has: [/enable_lora: true\n {2}max_loras: 3\n/, new RegExp(`dynamic_lora_loading_path: ${tmpdir()}\n`), /HF_TOKEN: "\$\{HF_TOKEN:\?/],
    },
    {
      name: 'SGLang',
      flags: { engine: 'sglang', model: 'Qwen/Qwen3-8B', gpus: 2, gpuType: 'A10G', tensorParallelSize: 2, contextLength: 4096 },
      has: [/tp_size: 2\n/, /context_length: 4096\n/],
    },
    { name: 'an id that YAML would take for a number', flags: { engine: 'fake', id: '007' }, has: [/model_id: "007"\n/] },
    { name: 'an id with a variable in it', flags: { engine: 'fake', id: 'a${b}' }, has: [/model_id: a\$\$\{b\}\n/] },
  ];

describe('the files of the wizard', () => {
  for (const { name, flags, gpus, has } of table) {
    it(`are valid and say what was answered: ${name}`, async (t) => {
      const { model } = await written(t, flags, gpus);
      for (const pattern of has) assert.match(model, pattern);
    });
  }

  for (const model of knownModels) {
    it(`are valid for ${model.source}`, async (t) => {
      const { model: text } = await written(t, { engine: model.format === 'gguf' ? 'llamacpp' : 'vllm', model: model.source }, [
        h100,
        h100,
      ]);
      assert.match(text, new RegExp(`model_id: ${model.id}\n`));
    });
  }

  it('are not written when they would not be valid, and the mistake has their final name', (t) => {
    const directory = folder(t);
    const bad = { path: 'serve.yaml', text: 'llm_configs: 3\n' };
    assert.throws(
      () => placeFiles(directory, [bad], bad, deps),
      (error) => error instanceof ConfigError && error.message.startsWith(`${join(directory, 'serve.yaml')}:1:`),
    );
    assert.deepEqual(readdirSync(directory), []);
  });

  it('are named after the model, whatever its id', () => {
    assert.equal(fileName('org/model:7b'), 'org--model-7b');
    assert.equal(fileName('../x'), '--x');
    assert.equal(fileName('..'), 'model');
  });
});

describe('GPUs', () => {
  it('have the names of Ray', () => {
    const cards: readonly Card[] = [
      h100,
      ['NVIDIA A100-SXM4-40GB', 40_960],
      ['NVIDIA A100-SXM4-80GB', 81_920],
      ['Tesla T4', 15_360],
      ['NVIDIA L4', 23_034],
      ['NVIDIA L40S', 46_068],
      ['NVIDIA GeForce RTX 4090', 24_564],
    ];
    assert.deepEqual(
      gpus(cards).map(({ accelerator }) => accelerator),
      ['H100', 'A100-40G', 'A100-80G', 'T4', 'L4', 'L40S', undefined],
    );
  });

  it('are those of the driver; one that does not answer is told with the reason, and engines are found all the same', async (t) => {
    const directory = folder(t);
    writeFileSync(join(directory, 'llama-server'), '#!/bin/sh\n', { mode: 0o755 });
    const broken = { list: () => Promise.reject(new Error('no answer')) };
    const found = await lookAround(engines, { PATH: directory }, broken);
    assert.deepEqual([found.gpus, found.gpuProblem], [[], 'no answer']);
    assert.equal(found.engines.get('llamacpp'), join(directory, 'llama-server'));
    assert.equal(found.engines.get('vllm'), undefined);
    const device: GpuDevice = {
      id: 'x',
      vendor: 'amd',
      index: 0,
      busId: '',
      name: 'AMD Instinct MI300X OAM',
      memoryBytes: 192 * 1024 ** 3,
      usedBytes: 0,
      partition: false,
    };
    const { gpus: cards } = await lookAround(engines, {}, { list: () => Promise.resolve({ devices: [device], lost: [] }) });
    assert.deepEqual(cards, [{ product: 'AMD Instinct MI300X OAM', memoryGib: 192, accelerator: undefined }]);
  });
});

function run(cwd: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  const program = join(import.meta.dirname, '../../src/main.ts');
  // All that is found here afterwards is what the wizard wrote.
  const env = { PATH: '', HOME: cwd, NODE_DISABLE_COMPILE_CACHE: '1' };
  return spawnSync(process.execPath, [program, 'init', ...args], { cwd, encoding: 'utf8', env });
}

describe('gateway init without a terminal', () => {
  it('asks nothing with --yes, and says as JSON what it wrote', (t) => {
    const cwd = folder(t);
    const { status, stdout, stderr } = run(cwd, '--yes', '--engine', 'fake', '--json', '--dir', 'new');
    assert.equal(status, 0, stderr);
    const { files } = JSON.parse(stdout) as { files: readonly string[] };
    assert.equal(files.length, 2);
    assert.deepEqual(readdirSync(join(cwd, 'new')).toSorted(), ['model_config', 'serve.yaml']);
  });

  it('refuses to replace a file, unless --force', (t) => {
    const cwd = folder(t);
    writeFileSync(join(cwd, 'serve.yaml'), 'mine');
    const refused = run(cwd, '--yes', '--engine', 'fake');
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /serve\.yaml: there already; expected --force/);
    assert.equal(readFileSync(join(cwd, 'serve.yaml'), 'utf8'), 'mine');
    assert.equal(run(cwd, '--yes', '--engine', 'fake', '--force').status, 0);
    assert.match(readFileSync(join(cwd, 'serve.yaml'), 'utf8'), /model_config\/fake\.yaml/);
  });

  for (const [args, message] of [
    [['--yes', '--engine', 'vlm'], /no such engine; expected one of .*did you mean "vllm"/],
    [['--engine', 'fake'], /not a terminal; expected --yes/],
    [['--yes', '--engine', 'fake', '--replicas', '0'], /expected a whole number from 1 to 10000/],
    [['--yes', '--engine', 'fake', '--lora-path', 'x'], /--lora-path: the engine fake cannot load adapters/],
    [['--yes', '--engine', 'fake', '--min-replicas', '3', '--max-replicas', '2'], /--min-replicas 3 is more than --max-replicas 2/],
    [['--yes', '--engine', 'llamacpp', '--model', './none.gguf'], /there is no file or directory .*none\.gguf/],
    [['--yes', '--engine', 'vllm', '--gpus', '2', '--tensor-parallel-size', '4'], /more than the 2 GPUs/],
  ] as const) {
    it(`says what is wrong with ${args.join(' ')}`, (t) => {
      const cwd = folder(t);
      const { status, stderr } = run(cwd, ...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
      assert.deepEqual(readdirSync(cwd), []);
    });
  }
});
