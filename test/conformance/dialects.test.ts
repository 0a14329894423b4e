import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ConformanceReport } from '../../src/cli/conformance.ts';
import { type FakeEngine, startFake } from '../support/fake-engine.ts';
import { runGateway, startGateway, tempDir, type GatewayProcess } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';

type Dialect = 'vllm' | 'sglang' | 'llamacpp';

/** A gateway before a fake engine that speaks as `spoken`, and is taken for `engine`. */
async function behind(t: TestContext, spoken: Dialect, engine: string): Promise<{ fake: FakeEngine; gateway: GatewayProcess }> {
  const fake = await startFake({ dialect: spoken, tokens_per_s: 200 }, t);
  const keyFile = join(await tempDir(t), 'key');
  await writeFile(keyFile, fake.apiKey);
  const model = {
    model_loading_config: { model_id: fake.servedName },
    llm_engine: engine,
    gateway: { upstreams: [{ url: fake.url, key_file: keyFile }] },
  };
  return { fake, gateway: await startGateway(t, [model], { more: { workers: 1 } }) };
}

/** Names of the scenarios that fail, and whether the model conforms. */
async function conformance(gateway: GatewayProcess, fake: FakeEngine, only: readonly string[] = []): Promise<[boolean, string[]]> {
  const chosen = only.length === 0 ? [] : ['--only', only.join(',')];
  const where = ['--state-dir', gateway.stateDir, '--model', fake.servedName, '--json'];
  const { stdout, stderr } = await runGateway(['conformance', ...where, ...chosen]);
  const { passed, results } = JSON.parse(stdout || stderr) as ConformanceReport;
  return [passed, results.filter(({ kind, required }) => kind === 'fails' && required).map(({ name }) => name)];
}

for (const dialect of ['vllm', 'sglang', 'llamacpp'] as const) {
  test(`an engine that speaks like ${dialect} conforms`, async (t) => {
    const { fake, gateway } = await behind(t, dialect, dialect);
    assert.deepEqual(await conformance(gateway, fake), [true, []]);
    // A reply that cannot have ended before its client leaves: the engine stops too, by whatever way it is told.
    await fake.control({ tokens: 100_000 });
    assert.deepEqual(await conformance(gateway, fake, ['abort']), [true, []]);
    await until('the engine knows that its client has left', async () => (await fake.state()).aborted > 0);
    assert.equal((await fake.state()).running, 0);
  });
}

test('the same engine, taken for one that is always right, does not conform', async (t) => {
  const { fake, gateway } = await behind(t, 'llamacpp', 'fake');
  assert.deepEqual(await conformance(gateway, fake, ['chat', 'errors', 'stream']), [false, ['stream', 'errors']]);
});
