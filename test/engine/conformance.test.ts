import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { runGateway, startGateway } from '../support/gateway-process.ts';
import { realEngine, realModel, skipReal } from '../support/quickstart.ts';

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
    const { results, engine } = JSON.parse(stdout) as ConformanceReport;
    assert.equal(engine, 'llamacpp');
    const vision = results.find(({ name }) => name === 'vision');
    assert.equal(vision?.kind, 'unshown', vision?.detail);
  });
});
