import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { LogSign } from '../../../src/plugins/engine-plugin.ts';
import { vllm } from '../../../src/plugins/vllm/index.ts';

const folder = new URL('../../fixtures/engines/vllm/', import.meta.url);
const engine = vllm.configure({});

function signsOf(name: string): readonly LogSign[] {
  const lines = readFileSync(new URL(name, folder), 'utf8').split('\n');
  return lines.flatMap((line) => engine.readLog(line) ?? []);
}

/** What the first cause in each real log of a failed start must be, and a word of its remedy. */
const failures: Readonly<Record<string, readonly [cause: string, remedy: RegExp, permanent: boolean]>> = {
  'fail-api-servers-lora.txt': ['adapters cannot be loaded with more than one API server', /api_server_count/u, true],
  'fail-bad-arch.txt': ["model architecture not supported: ['NopeForCausalLM']", /newer vLLM/u, true],
  'fail-bad-device.txt': ['a GPU index does not exist (NVMLError_InvalidArgument)', /CUDA_VISIBLE_DEVICES/u, true],
  'fail-bad-value.txt': [
    "invalid option: argument --max-model-len: invalid human_readable_int_or_auto value: 'lots'",
    /engine_kwargs/u,
    true,
  ],
  'fail-cpu-loras.txt': ['max_cpu_loras (2) must be >= max_loras (4)', /engine_kwargs/u, true],
  'fail-gpu-busy.txt': [
    'GPU memory is taken: Free memory on device cuda:0 (123.59/139.8 GiB) on startup',
    /Another process holds the GPU/u,
    false,
  ],
  'fail-kv-too-small.txt': [
    'the KV cache does not hold one request of max_model_len tokens (about 24400 would fit)',
    /max_model_len/u,
    true,
  ],
  'fail-missing-hub.txt': ['no connection to the model hub', /network/u, false],
  'fail-missing-module.txt': ['the Python module flashinfer is missing', /environment/u, true],
  'fail-missing-path.txt': ["there is no model directory '/models/nope'", /model_source/u, true],
  'fail-no-gpu.txt': ['no GPU is visible to the engine', /nvidia-smi/u, true],
  'fail-no-kv-memory.txt': ['no GPU memory is left for the KV cache', /gpu_memory_utilization/u, true],
  'fail-offline-hub.txt': ['the model is not in the local cache and HF_HUB_OFFLINE forbids fetching it', /HF_HUB_OFFLINE/u, true],
  'fail-old-swap-space.txt': ['unknown option --swap-space 4', /engine_kwargs/u, true],
  'fail-port-in-use.txt': ['port in use', /another/u, false],
  'fail-profiling-race.txt': ['another process gave GPU memory back while vLLM measured it', /other process/u, false],
  'fail-start-lora-rank.txt': ['LoRA adapter unusable: its rank is 64', /max_lora_rank/u, true],
  'fail-start-lora.txt': ['no LoRA adapter in /models/nope', /adapter_config\.json/u, true],
  'fail-too-long.txt': ['max_model_len (999999) is more than the model was made for', /max_model_len/u, true],
  'fail-tool-parser.txt': ['unknown tool_call_parser nope', /engine_kwargs/u, true],
  'fail-unknown-flag.txt': ['unknown option --bogus-flag 1', /--help=all/u, true],
};
for (const [name, [cause, remedy, permanent]] of Object.entries(failures)) {
  test(`the cause in ${name}`, () => {
    const first = signsOf(name).find((sign) => sign.kind === 'cause');
    assert.deepEqual([first?.cause, first?.permanent], [cause, permanent]);
    assert.match(first?.remedy ?? '', remedy);
  });
}

test('every log of a failure is in the table', () => {
  const logs = readdirSync(folder).filter((name) => name.startsWith('fail-'));
  assert.deepEqual(logs.sort(), Object.keys(failures).sort());
});

const causes: readonly (readonly [line: string, cause: string])[] = [
  ['(EngineCore pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.', 'GPU out of memory'],
  ['huggingface_hub.errors.GatedRepoError: 401 Client Error.', 'the model hub refused access to the model'],
  ['OSError: [Errno 28] No space left on device', 'disk full'],
  ['RuntimeError: NCCL error in: a.cpp', 'the GPUs cannot talk to each other (NCCL)'],
  [
    '(EngineCore pid=2) ERROR 11-24 12:57:02 [multiproc_executor.py:315] Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.',
    "vLLM's worker process died (exit code -9)",
  ],
  ['RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}', "vLLM's engine process died"],
];
for (const [line, expected] of causes) {
  test(`the line ${line.slice(0, 60)}`, () => {
    const sign = engine.readLog(line);
    assert.equal(sign?.kind === 'cause' ? sign.cause : undefined, expected);
  });
}

const eager = ['reading the model', 'starting workers', 'loading weights', 'weights loaded', 'allocating KV cache', 'starting HTTP'];
const starts: Readonly<Record<string, readonly string[]>> = {
  'start-ok-eager.txt': eager,
  'start-ok.txt': [...eager.slice(0, 4), 'compiling', 'allocating KV cache', 'capturing CUDA graphs', 'starting HTTP'],
};
for (const [name, phases] of Object.entries(starts)) {
  test(`${name} shows its phases in order and no cause`, () => {
    const seen = signsOf(name).map((sign) => (sign.kind === 'phase' ? sign.phase : `cause: ${sign.cause}`));
    assert.deepEqual(
      seen.filter((phase, index) => phase !== seen[index - 1]),
      phases,
    );
  });
}

const page = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

test('pages taken right after the start, and with adapters waiting', () => {
  assert.deepEqual(engine.readMetrics(page('metrics-fresh.prom')), { running: 0, waiting: 0, generatedTokens: 0, workDone: 0 });
  assert.deepEqual(engine.readMetrics(page('metrics-lora-waiting.prom')), {
    running: 2,
    waiting: 4,
    generatedTokens: 698,
    workDone: 1655 + 698 + 588,
  });
});

test('gauges are summed over data-parallel engines', () => {
  const page = ['0', '1'].map((engine) => `vllm:num_requests_running{engine="${engine}",model_name="m"} 3.0`).join('\n');
  assert.equal(engine.readMetrics(page).running, 6);
  assert.equal(engine.readMetrics(page).waiting, undefined);
});
