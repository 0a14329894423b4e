import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Capabilities } from '../../src/core/table.ts';
import type { EnginePlugin } from '../../src/plugins/engine-plugin.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { llamacpp } from '../../src/plugins/llamacpp/index.ts';
import { sglang } from '../../src/plugins/sglang/index.ts';
import { vllm } from '../../src/plugins/vllm/index.ts';

/** What the plugin makes of an engine's pages, by their paths. */
function told(plugin: EnginePlugin, options: Readonly<Record<string, unknown>>, pages: Readonly<Record<string, unknown>>): Capabilities {
  const all = plugin.configure(options).capabilities ?? assert.fail('it does not ask');
  return Object.assign({}, ...all.map(({ probe, read }) => read(pages[probe.path]))) as Capabilities;
}

/** Of vLLM 0.26.0 and SGLang 0.5.17, as far as it matters; an adapter comes first, which no engine has been seen to do. */
const models = (owner: string): object => ({
  object: 'list',
  data: [
    { id: 'a', owned_by: owner, parent: 'tiny', max_model_len: null },
    { id: 'tiny', owned_by: owner, parent: null, max_model_len: 65_536 },
  ],
});
const modelInfo = { model_path: '/models/tiny', is_generation: true, has_image_understanding: false, has_audio_understanding: false };
/** Of llama-server 0.7.0 (build 11669) with `-c 1024 -np 2` and without a projector. */
const props = {
  default_generation_settings: { n_ctx: 512 },
  total_slots: 2,
  modalities: { vision: false, video: false, audio: false },
  chat_template_caps: { supports_tools: false },
};

const cases: readonly (readonly [string, EnginePlugin, Record<string, unknown>, Record<string, unknown>, Capabilities])[] = [
  ['vLLM', vllm, {}, { '/v1/models': models('vllm') }, { maxModelLen: 65_536 }],
  ['vLLM that pools', vllm, { runner: 'pooling' }, { '/v1/models': models('vllm') }, { maxModelLen: 65_536, embeddings: true }],
  ['vLLM without its eyes', vllm, { language_model_only: true }, {}, { vision: false }],
  [
    'SGLang',
    sglang,
    {},
    { '/v1/models': models('sglang'), '/model_info': modelInfo },
    { maxModelLen: 65_536, vision: false, embeddings: false },
  ],
  ['SGLang that embeds', sglang, {}, { '/model_info': { ...modelInfo, is_generation: false } }, { vision: false, embeddings: true }],
  ['llama-server', llamacpp, {}, { '/props': props }, { maxModelLen: 512, vision: false, tools: false }],
  [
    'llama-server with a projector',
    llamacpp,
    { embeddings: true },
    { '/props': { ...props, modalities: { vision: true } } },
    { maxModelLen: 512, vision: true, tools: false, embeddings: true },
  ],
  ['the fake engine', fake, {}, { '/v1/models': { data: [{ id: 'x', max_model_len: 7 }] } }, { maxModelLen: 7 }],
];
for (const [name, plugin, options, pages, expected] of cases) {
  test(`${name} tells ${JSON.stringify(expected)}`, () => assert.deepEqual(told(plugin, options, pages), expected));
}

test('pages that are not what they should be tell nothing', () => {
  for (const plugin of [vllm, sglang, llamacpp, fake]) {
    for (const page of [undefined, null, 'x', [], {}, { data: [null, { max_model_len: '9' }] }, { data: [{ max_model_len: -1 }] }]) {
      assert.deepEqual(told(plugin, {}, { '/v1/models': page, '/model_info': page, '/props': page }), {}, plugin.name);
    }
  }
});
