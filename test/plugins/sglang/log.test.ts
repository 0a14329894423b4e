import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { LogSign } from '../../../src/plugins/engine-plugin.ts';
import { sglang } from '../../../src/plugins/sglang/index.ts';

const folder = new URL('../../fixtures/engines/sglang/', import.meta.url);
const engine = sglang.configure({});

function signsOf(name: string): readonly LogSign[] {
  const lines = readFileSync(new URL(name, folder), 'utf8').split('\n');
  return lines.flatMap((line) => engine.readLog(line) ?? []);
}

/** What the first cause in each real log of a failed start must be, and a word of its remedy. */
const failures: Readonly<Record<string, readonly [cause: string, remedy: RegExp, permanent: boolean]>> = {
  'fail-bad-arch.txt': ["model architecture not supported: 'NopeForCausalLM'", /newer SGLang/u, true],
  'fail-bad-device.txt': ['no GPU is visible to the engine', /CUDA_VISIBLE_DEVICES/u, true],
  'fail-bad-value.txt': [
    "invalid option: argument --context-length: Invalid integer value: 'lots'. Use a plain integer, SI suffixes (1k, 1M), or IEC suffixes (1Ki, 1Mi). Suffixes are case-sensitive.",
    /engine_kwargs/u,
    true,
  ],
  'fail-colon-name.txt': ['SGLang takes no name with a colon', /model_id/u, true],
  'fail-lora-no-rank.txt': ['LoRA is enabled without rank and target modules', /max_lora_rank/u, true],
  'fail-missing-path.txt': ["there is no model directory '/models/nope'", /model_source/u, true],
  'fail-no-gpu.txt': ['no GPU is visible to the engine', /nvidia-smi/u, true],
  'fail-port-in-use.txt': ['port in use', /another/u, false],
  'fail-scheduler-killed.txt': ["SGLang's process scheduler_0 (pid=786) crashed with exit code -9", /log above/u, false],
  'fail-unknown-flag.txt': ['unknown option --bogus-flag 1', /sglang serve --help/u, true],
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

const causeOf = (line: string): string | undefined => {
  const sign = engine.readLog(line);
  return sign?.kind === 'cause' ? sign.cause : undefined;
};

test('an assertion without a pattern of its own, and a child that died', () => {
  assert.equal(causeOf('AssertionError: dp size must divide tp size. See the docs'), 'dp size must divide tp size');
  assert.equal(causeOf('[x] Received sigquit from a child process. It usually means the child failed.'), "one of SGLang's processes died");
});

test('a start that succeeds shows its phases in order and no cause', () => {
  const seen = signsOf('start-ok.txt').map((sign) => (sign.kind === 'phase' ? sign.phase : `cause: ${sign.cause}`));
  assert.deepEqual(
    seen.filter((phase, index) => phase !== seen[index - 1]),
    [
      'reading the model',
      'starting workers',
      'loading weights',
      'weights loaded',
      'allocating KV cache',
      'capturing CUDA graphs',
      'warming up',
    ],
  );
});

test('the line that says all is well is not believed', () => {
  assert.equal(engine.readLog('[2026-11-22 21:44:02] The server is fired up and ready to roll!'), undefined);
});

const page = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

test('pages taken right after the start, and with adapters waiting', () => {
  assert.deepEqual(engine.readMetrics(page('metrics-fresh.prom')), { running: 0, waiting: 0, generatedTokens: 9, workDone: 14 + 9 });
  assert.deepEqual(engine.readMetrics(page('metrics-lora-waiting.prom')), {
    running: 4,
    waiting: 2,
    generatedTokens: 2975,
    workDone: 210 + 2975 + 687,
  });
});

test('builds that write the prefix with an underscore, and those without the running counter', () => {
  const page = 'sglang_num_running_reqs{tp_rank="0"} 1\nsglang_num_running_reqs{tp_rank="1"} 2\nsglang_generation_tokens_total 7\n';
  assert.deepEqual(engine.readMetrics(page), { running: 3, waiting: undefined, generatedTokens: 7, workDone: undefined });
});
