import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { type KeptReport, keepReport } from '../support/conformance-report.ts';
import { runGateway, startGateway } from '../support/gateway-process.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';

/** What this model on this engine must show. */
const mustWork = [
  'models',
  'chat',
  'stream',
  'stream-usage',
  'completions',
  'max_completion_tokens',
  'stop',
  'n',
  'seed',
  'logprobs',
  'json_schema',
  'json_schema-raw',
  'json_object',
  'guided_choice',
  'tools',
  'tool_choice-required',
  'tool_choice-named',
  'errors',
  'unknown-model',
  'abort',
];

describe('conformance of a real llama-server', { skip: skipReal }, () => {
  test('what it can do works through the gateway; what it cannot is refused cleanly or named', async (t) => {
    const gateway = await startGateway(t, [realModel(1)], { more: realEngine });
    const args = ['--state-dir', gateway.stateDir, '--model', 'smollm2-135m', '--require', mustWork.join(), '--json'];
    const { code, stdout, stderr } = await runGateway(['conformance', ...args]);
    assert.equal(code, 0, stdout + stderr);
    const report = JSON.parse(stdout) as ConformanceReport;
    const { results } = report;
    assert.equal(report.engine, 'llamacpp');
    await keepReport('llamacpp.json', about('SmolLM2-135M-Instruct Q4_1, CPU'), report);
    const vision = results.find(({ name }) => name === 'vision');
    assert.equal(vision?.kind, 'unshown', vision?.detail);
  });

  test('with a projector it sees the colour of an image', async (t) => {
    const mmproj = fileURLToPath(new URL('../fixtures/models/mmproj-colour.gguf', import.meta.url));
    const report = await shown(t, 'vision', realModel(1, { mmproj }));
    const model = 'SmolLM2-135M-Instruct Q4_1 and test/fixtures/models/mmproj-colour.gguf, CPU';
    await keepReport('llamacpp-vision.json', { ...about(model), setting: 'with a projector' }, report);
  });

  test('with a directory of adapters one of them answers differently', async (t) => {
    const lora = { dynamic_lora_loading_path: fileURLToPath(new URL('../fixtures/models', import.meta.url)) };
    const report = await shown(t, 'lora', { ...realModel(1), lora_config: lora }, '--adapter', 'smollm2-135m:pirate');
    const model = 'SmolLM2-135M-Instruct Q4_1 and test/fixtures/models/pirate.gguf, CPU';
    await keepReport('llamacpp-adapter.json', { ...about(model), setting: 'with a directory of adapters' }, report);
  });

  test('started for embeddings it gives a vector each, alike for alike texts', async (t) => {
    const report = await shown(t, 'embeddings', realModel(1, { embeddings: true, pooling: 'mean' }));
    const setting = 'started for embeddings';
    await keepReport('llamacpp-embeddings.json', { ...about('SmolLM2-135M-Instruct Q4_1, CPU'), setting }, report);
  });
});

/** One scenario on a gateway of its own, which must be seen to work. */
async function shown(t: TestContext, scenario: string, entry: object, ...more: readonly string[]): Promise<ConformanceReport> {
  const gateway = await startGateway(t, [entry], { more: realEngine });
  const args = ['--state-dir', gateway.stateDir, '--model', 'smollm2-135m', '--only', scenario, '--require', scenario, '--json', ...more];
  const { code, stdout, stderr } = await runGateway(['conformance', ...args]);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as ConformanceReport;
}

function about(model: string): Omit<KeptReport, 'results'> {
  const printed = spawnSync(quickstart.engine, ['--version'], { encoding: 'utf8' });
  const build = /(?:build |version: )(\d{3,})/.exec(printed.stderr + printed.stdout)?.[1] ?? assert.fail(printed.stderr);
  return { engine: 'llama-server', version: `b${build}`, model };
}
