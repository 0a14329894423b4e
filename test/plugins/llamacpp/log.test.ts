import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import type { LogSign } from '../../../src/plugins/engine-plugin.ts';

const folder = new URL('../../fixtures/engines/llamacpp/', import.meta.url);
const engine = llamacpp.configure({});

function signsOf(name: string): readonly LogSign[] {
  const lines = readFileSync(new URL(name, folder), 'utf8').split('\n');
  return lines.flatMap((line) => engine.readLog(line) ?? []);
}

/** What the first cause in each real log of a failed start must be. */
const failures: Readonly<Record<string, readonly [cause: string, permanent: boolean]>> = {
  'bad-flag.txt': ['invalid argument: --bogus-flag', true],
  'bad-value.txt': ['invalid option "--ctx-size": stoi', true],
  'missing-value.txt': ['invalid option "--threads": expected value for argument', true],
  'missing-file.txt': ["cannot open the model file '/nowhere/missing.gguf' (No such file or directory)", true],
  'not-gguf.txt': ['cannot load the model: llama_model_loader: failed to load model from not.gguf', true],
  'truncated-file.txt': [
    "cannot load the model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete",
    true,
  ],
  'bad-lora.txt': ['LoRA adapter unusable: failed to apply lora adapter: failed to load lora adapter from file', true],
  'missing-lora.txt': ["LoRA adapter unusable: failed to open '/nowhere/l.gguf': No such file or directory", true],
  'port-taken.txt': ['port in use', false],
  'hub-offline.txt': ['the model was not found on the model hub', true],
  'hub-unreachable.txt': ['no connection to the model hub: Could not establish connection', false],
  'out-of-memory.txt': ['out of memory', false],
};
for (const [name, [cause, permanent]] of Object.entries(failures)) {
  test(`the cause in ${name}`, () => {
    const first = signsOf(name).find((sign) => sign.kind === 'cause');
    assert.deepEqual([first?.cause, first?.permanent], [cause, permanent]);
    assert.match(first?.remedy ?? '', /\.$/u);
  });
}

test('every log of a failure is in the table', () => {
  const logs = readdirSync(folder).filter((name) => name.endsWith('.txt') && !['start.txt', 'metrics.txt', 'help.txt'].includes(name));
  assert.deepEqual(logs.sort(), Object.keys(failures).sort());
});

test('a start that succeeds shows its phases and no cause', () => {
  assert.deepEqual(
    signsOf('start.txt').map((sign) => (sign.kind === 'phase' ? sign.phase : sign)),
    ['loading model', 'allocating context', 'model loaded'],
  );
});

test('a page taken while one request ran and one waited', () => {
  const page = readFileSync(new URL('metrics.txt', folder), 'utf8');
  assert.deepEqual(engine.readMetrics(page), { running: 1, waiting: 1, generatedTokens: 0, workDone: 31 });
});
