import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { keepReport } from '../support/conformance-report.ts';
import { runGateway, startGateway } from '../support/gateway-process.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';

/** What this model on this engine must show; tools are offered to a model that is too small to call them. */
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
  'guided_choice',
  'tools',
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
    const printed = spawnSync(quickstart.engine, ['--version'], { encoding: 'utf8' });
    const build = /(?:build |version: )(\d{3,})/.exec(printed.stderr + printed.stdout)?.[1] ?? assert.fail(printed.stderr);
    assert.equal(report.engine, 'llamacpp');
    const about = { engine: 'llama-server', version: `b${build}`, model: 'SmolLM2-135M-Instruct Q4_1, CPU' };
    await keepReport('llamacpp.json', about, report);
    const vision = results.find(({ name }) => name === 'vision');
    assert.equal(vision?.kind, 'unshown', vision?.detail);
  });

  test('with a projector it sees the colour of an image', async (t) => {
    const mmproj = fileURLToPath(new URL('../fixtures/models/mmproj-colour.gguf', import.meta.url));
    const gateway = await startGateway(t, [realModel(1, { mmproj })], { more: realEngine });
    const args = ['--state-dir', gateway.stateDir, '--model', 'smollm2-135m', '--only', 'vision', '--require', 'vision', '--json'];
    const { code, stdout, stderr } = await runGateway(['conformance', ...args]);
    assert.equal(code, 0, stdout + stderr);
    const about = {
      engine: 'llama-server',
      version: 'with a projector',
      model: 'SmolLM2-135M-Instruct Q4_1 and test/fixtures/models/mmproj-colour.gguf, CPU',
    };
    await keepReport('llamacpp-vision.json', about, JSON.parse(stdout) as ConformanceReport);
  });
});
