import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { AdapterAnswer, EnginePlugin, LoraSupport } from '../../src/plugins/engine-plugin.ts';
import { sglang } from '../../src/plugins/sglang/index.ts';
import { vllm } from '../../src/plugins/vllm/index.ts';
import { requestOf } from '../support/request.ts';

/** As vLLM 0.26.0 and SGLang 0.5.17 sent them. */
type Recorded = Readonly<Record<string, { readonly status: number; readonly body: unknown }>>;

type Outcome = 'done' | 400 | 404 | 503;
const outcomeOf = (answer: AdapterAnswer): Outcome => (answer.kind === 'done' ? 'done' : answer.status);

function dynamic(plugin: EnginePlugin): Extract<LoraSupport, { kind: 'dynamic' }> {
  const { lora } = plugin.configure({}, { lora: { maxAdaptersPerReplica: 4 } });
  assert.equal(lora?.kind, 'dynamic');
  return lora;
}

const engines: readonly (readonly [string, EnginePlugin, string, Readonly<Record<string, Outcome>>, Readonly<Record<string, Outcome>>])[] =
  [
    [
      'vllm',
      vllm,
      '/v1',
      { 'lora-load': 'done', 'lora-load-again-same': 'done', 'lora-path-missing': 404, 'lora-no-weights': 400, 'lora-rank-too-big': 400 },
      { 'lora-unload': 'done', 'lora-unload-in-use': 'done', 'lora-unload-unknown': 'done' },
    ],
    [
      'sglang',
      sglang,
      '',
      { 'lora-load': 'done', 'lora-load-again': 'done', 'lora-path-missing': 404, 'lora-no-weights': 404, 'lora-rank-too-big': 400 },
      { 'lora-unload': 'done', 'lora-unload-in-use': 'done', 'lora-unload-unknown': 'done' },
    ],
  ];

for (const [name, plugin, prefix, loads, unloads] of engines) {
  describe(`adapters of ${name}`, () => {
    const lora = dynamic(plugin);
    const file = new URL(`../fixtures/engines/${name}/lora.json`, import.meta.url);
    const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
    const reply = (key: string): [number, string] => {
      const { status, body } = recorded[key] ?? assert.fail(key);
      return [status, typeof body === 'string' ? body : JSON.stringify(body)];
    };

    test('are loaded and unloaded by its own routes', () => {
      const load = { method: 'POST', path: `${prefix}/load_lora_adapter`, body: { lora_name: 'a-1', lora_path: '/adapters/a' } };
      assert.deepEqual(lora.load({ handle: 'a-1', path: '/adapters/a' }), load);
      assert.deepEqual(lora.unload('a-1'), { method: 'POST', path: `${prefix}/unload_lora_adapter`, body: { lora_name: 'a-1' } });
    });

    for (const [key, outcome] of Object.entries(loads)) {
      test(`${key}: ${outcome}`, () => assert.equal(outcomeOf(lora.readLoaded(...reply(key))), outcome));
    }
    for (const [key, outcome] of Object.entries(unloads)) {
      test(`${key}: ${outcome}`, () => assert.equal(outcomeOf(lora.readUnloaded(...reply(key))), outcome));
    }

    test('a refusal is told in the engine’s own words', () => {
      const answer = lora.readLoaded(...reply('lora-rank-too-big'));
      assert.ok(answer.kind === 'refused' && /rank 64/.test(answer.message) && !answer.message.includes('{'), JSON.stringify(answer));
    });

    test('what the engine says of itself is no fault of the adapter', () => {
      const out = 'Call to add_lora method failed: CUDA out of memory. Tried to allocate 2 MiB';
      for (const body of [
        '',
        '<html>502</html>',
        '{"detail":"Not Found"}',
        `{"error":{"message":"${out}"}}`,
        `{"error_message":"${out}"}`,
      ]) {
        assert.equal(outcomeOf(lora.readLoaded(500, body)), 503, body);
        assert.equal(outcomeOf(lora.readUnloaded(500, body)), 503, body);
      }
    });

    test('those that are loaded are the models with a parent', () => {
      const { body } = recorded['models-with-lora'] ?? assert.fail();
      const all = (body as { data: readonly { id: string; parent: string | null }[] }).data;
      assert.deepEqual(
        lora.readResident(body),
        all.filter(({ parent }) => parent !== null).map(({ id }) => id),
      );
      assert.ok(lora.readResident(body).includes('a') && lora.readResident(body).length < all.length);
      for (const none of [undefined, {}, { data: 'x' }, { data: [null, { id: 1, parent: 'x' }, { parent: 'x' }] }]) {
        assert.deepEqual(lora.readResident(none), []);
      }
    });

    test('there are none without a lora_config', () => assert.equal(plugin.configure({}).lora, undefined));
  });
}

const chosen = (plugin: EnginePlugin, body: object, adapter?: string): unknown => {
  const request = { ...requestOf('chat', JSON.stringify(body)), requestedModel: 'public/id:pirate' };
  const { body: sent } = plugin.dialect.toEngine(request, 'attempt', adapter);
  const { rid: _, ...rest } = JSON.parse(Buffer.from(sent).toString()) as Record<string, unknown>;
  return rest;
};

test('vLLM: an adapter is a model of its own', () => {
  assert.deepEqual(chosen(vllm, { model: 'public/id:pirate', n: 1 }, 'pirate-3f'), { model: 'pirate-3f', n: 1 });
});

test('SGLang: an adapter stands behind the base, and no other field names one', () => {
  assert.deepEqual(chosen(sglang, { model: 'public/id:pirate', lora_path: 'shout' }, 'pirate-3f'), { model: 'public/id:pirate-3f' });
  assert.deepEqual(chosen(sglang, { model: 'public/id:pirate' }), { model: 'public/id' });
});

test('SGLang: adapters and data-parallel copies exclude each other', () => {
  const traits = { lora: { maxAdaptersPerReplica: 4 } };
  assert.throws(() => sglang.configure({ dp_size: 2 }, traits), /engine_kwargs\.dp_size: .* expected 1/);
  assert.equal(sglang.configure({ dp_size: 2 }).lora, undefined);
});
