import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AdapterAnswer, EngineCall, EnginePlugin, LoraSupport } from '../../../src/plugins/engine-plugin.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import { sglang } from '../../../src/plugins/sglang/index.ts';
import { vllm } from '../../../src/plugins/vllm/index.ts';
import { modelName } from '../../../src/core/ids.ts';
import { startFake } from '../../support/fake-engine.ts';
import type { FakeEngine } from '../../support/fake-engine.ts';
import { requestOf } from '../../support/request.ts';

const here = import.meta.dirname;
const traits = { lora: { maxAdaptersPerReplica: 4 } };
const plugins: readonly (readonly [string, EnginePlugin])[] = [
  ['openai', fake],
  ['vllm', vllm],
  ['sglang', sglang],
];

function dynamic(plugin: EnginePlugin): Extract<LoraSupport, { kind: 'dynamic' }> {
  const { lora } = plugin.configure({}, traits);
  assert.equal(lora?.kind, 'dynamic');
  return lora;
}

async function call(engine: FakeEngine, { method, path, body }: EngineCall): Promise<[number, string]> {
  const response = await engine.fetch(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return [response.status, await response.text()];
}

/** What the model says through its plugin's dialect, and what it calls itself. */
async function said(engine: FakeEngine, plugin: EnginePlugin, adapter?: string): Promise<string> {
  const asked = `${engine.servedName}${adapter === undefined ? '' : ':nice-name'}`;
  const body = JSON.stringify({ model: asked, messages: [{ role: 'user', content: 'hello' }] });
  const request = { ...requestOf('chat', body), model: modelName(engine.servedName), requestedModel: asked };
  const sent = plugin.dialect.toEngine(request, 'attempt', adapter);
  const response = await engine.fetch(sent.path, { method: 'POST', body: sent.body });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) return String(response.status);
  const mended = plugin.dialect.mend?.(request)?.whole(bytes) ?? bytes;
  const { model, choices } = JSON.parse(mended.toString()) as { model: string; choices: [{ message: { content: string } }] };
  return `${model} | ${choices[0].message.content}`;
}

for (const [dialect, plugin] of plugins) {
  describe(`adapters of the fake engine, dialect ${dialect}`, () => {
    const lora = dynamic(plugin);

    test('are loaded, answer under the client’s name, and go; the base stays as it is', async (t) => {
      const engine = await startFake({ dialect }, t);
      const load = async (handle: string, path = here): Promise<AdapterAnswer> =>
        lora.readLoaded(...(await call(engine, lora.load({ handle, path }))));
      const unload = async (handle: string): Promise<AdapterAnswer> => lora.readUnloaded(...(await call(engine, lora.unload(handle))));
      const resident = async (): Promise<readonly string[]> =>
        lora.readResident(JSON.parse((await call(engine, lora.resident))[1]) as unknown);
      assert.deepEqual(await resident(), []);
      for (const handle of ['one', 'two', 'one']) assert.deepEqual(await load(handle), { kind: 'done' });
      assert.deepEqual(await resident(), ['one', 'two']);
      assert.equal(await said(engine, plugin, 'one'), 'fake-model:nice-name | one: hello');
      assert.equal(await said(engine, plugin, 'two'), 'fake-model:nice-name | two: hello');
      assert.equal(await said(engine, plugin), 'fake-model | hello');
      assert.ok(['400', '404'].includes(await said(engine, plugin, 'three')));
      const missing = await load('three', `${here}/none-such`);
      assert.deepEqual([missing.kind, missing.kind === 'refused' && missing.status], ['refused', 404]);
      for (const handle of ['one', 'one']) assert.deepEqual(await unload(handle), { kind: 'done' });
      assert.deepEqual(await resident(), ['two']);
      const { adapters, adapterLoads, adapterUnloads, mostAdapters } = await engine.state();
      assert.deepEqual([adapters, adapterLoads, adapterUnloads, mostAdapters], [['two'], 2, 1, 2]);
    });

    test('that it is told to refuse are refused for good, and others for now', async (t) => {
      const engine = await startFake({ dialect, lora: 'refuse' }, t);
      const status = async (): Promise<unknown> => {
        const answer = lora.readLoaded(...(await call(engine, lora.load({ handle: 'one', path: here }))));
        return answer.kind === 'refused' ? answer.status : answer.kind;
      };
      assert.equal(await status(), 400);
      await engine.control({ lora: 'fail' });
      assert.equal(await status(), 503);
      await engine.control({ lora: 'ok' });
      assert.equal(await status(), 'done');
    });
  });
}

test('a load that is told to hang ends with who asked for it', async (t) => {
  const engine = await startFake({ lora: 'hang' }, t);
  const asking = new AbortController();
  const { path, method, body } = dynamic(fake).load({ handle: 'one', path: here });
  const asked = engine.fetch(path, { method, body: JSON.stringify(body), signal: asking.signal });
  asking.abort();
  await assert.rejects(asked, { name: 'AbortError' });
  assert.equal((await engine.state()).adapterLoads, 0);
});

test('adapters at the start only: chosen by their place, not loaded while it runs', async (t) => {
  for (const [dialect, plugin] of [
    ['openai', fake],
    ['llamacpp', llamacpp],
  ] as const) {
    const engine = await startFake({ dialect, lora_at_start: true }, t, 'ready', ['/a/one', '/a/two']);
    assert.equal(await said(engine, plugin, '1'), 'fake-model:nice-name | 1: hello', dialect);
    assert.equal(await said(engine, plugin), 'fake-model | hello', dialect);
    assert.equal((await call(engine, dynamic(fake).load({ handle: 'x', path: here })))[0], 404);
    await engine.stop();
  }
  const { lora } = fake.configure({ lora_at_start: true }, traits);
  assert.equal(lora?.kind === 'at-start' ? lora.handle(2) : undefined, '2');
});

test('what a client calls an adapter in the body has no effect', () => {
  const sent = fake.dialect.toEngine(requestOf('chat', '{"adapter":"x","n":1}'), 'attempt');
  assert.equal(Buffer.from(sent.body).toString(), '{"n":1}');
});
