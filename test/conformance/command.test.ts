import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

describe('gateway conformance on the fake engine', () => {
  test('prints a row a scenario, and what it came to; what is required works', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { tokens_per_s: 200 })]);
    const where = ['--state-dir', gateway.stateDir, '--model', 'm'];
    const { code, stdout, stderr } = await runGateway(['conformance', ...where]);
    assert.equal(code, 0, stdout + stderr);
    for (const name of [
      'models',
      'chat',
      'stream',
      'stream-usage',
      'completions',
      'max_completion_tokens',
      'errors',
      'unknown-model',
      'abort',
    ])
      assert.match(stdout, new RegExp(`^${name} +works `, 'm'));
    assert.match(stdout, /^lora +not shown +no adapter named \(--adapter\)$/m);
    assert.match(stdout, /^Conforms: m at http:\/\/127\.0\.0\.1:\d+$/m);

    const asJson = await runGateway(['conformance', ...where, '--only', 'chat,seed', '--require', 'seed', '--json']);
    const report = JSON.parse(asJson.stdout) as ConformanceReport;
    assert.equal(asJson.code, 1);
    assert.deepEqual([report.model, report.engine, report.passed, report.url], ['m', 'fake', false, gateway.url]);
    assert.deepEqual(
      report.results.map(({ name, kind, required }) => [name, kind, required]),
      [
        ['chat', 'works', true],
        ['seed', 'unshown', true],
      ],
    );
  });

  test('an engine that breaks its streams does not conform: exit 1', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { sse: 'error-mid' })]);
    const { code, stdout } = await runGateway(['conformance', '--state-dir', gateway.stateDir, '--model', 'm', '--only', 'chat,stream']);
    assert.equal(code, 1);
    assert.match(stdout, /^chat +works /m);
    assert.match(stdout, /^stream +does not +\S/m);
    assert.match(stdout, /^Does not conform/m);
  });

  test('without the admin socket, by URL: the abort cannot be shown', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m')]);
    const elsewhere = await tempDir(t);
    const args = ['conformance', '--state-dir', elsewhere, '--url', `${gateway.url}/`, '--model', 'm', '--only', 'chat,abort'];
    const { code, stdout } = await runGateway(args);
    assert.equal(code, 0);
    assert.match(stdout, /^chat +works /m);
    assert.match(stdout, /^abort +not shown +the gateway's admin socket is not reached/m);
  });

  test('what cannot be run is said: no gateway, an unknown scenario, no key file', async (t) => {
    const elsewhere = await tempDir(t);
    const none = await runGateway(['conformance', '--state-dir', elsewhere, '--model', 'm']);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /No gateway answers on/);
    const unknown = await runGateway(['conformance', '--state-dir', elsewhere, '--model', 'm', '--only', 'chat,juggling']);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /unknown: juggling; expected some of models, chat/);
    const missing = join(elsewhere, 'none');
    const url = ['--url', 'http://127.0.0.1:1'];
    const noKey = await runGateway(['conformance', '--state-dir', elsewhere, ...url, '--model', 'm', '--api-key-file', missing]);
    assert.equal(noKey.code, 2);
    assert.match(noKey.stderr, /--api-key-file .*none cannot be read/);
    await writeFile(missing, 'key\n');
    const refused = await runGateway([
      'conformance',
      '--state-dir',
      elsewhere,
      ...url,
      '--model',
      'm',
      '--api-key-file',
      missing,
      '--only',
      'n',
    ]);
    assert.match(refused.stdout, /^n +does not \(optional\) +no whole reply/m);
  });
});
