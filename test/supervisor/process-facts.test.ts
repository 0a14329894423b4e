import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, ModelConfig } from '../../src/config/config.ts';
import type { EnginePlugin } from '../../src/plugins/engine-plugin.ts';
import { engines } from '../../src/plugins/registry.ts';
import { placeholders } from '../../src/supervisor/command-line.ts';
import { fingerprintOf, processFacts } from '../../src/supervisor/process-facts.ts';
import { model } from './support/model.ts';

const none: Config['engineCommands'] = new Map();
const plugin = (name: string): EnginePlugin => engines.get(name) ?? assert.fail(name);
const fingerprint = (of: ModelConfig, by = plugin(of.engine), commands = none): string => fingerprintOf(of, commands, by);

/** The plugin as another version of the gateway might have it. */
function changed(by: EnginePlugin, over: Parameters<typeof Object.assign>[1]): EnginePlugin {
  return { ...by, configure: (...given) => ({ ...by.configure(...given), ...(over as object) }) };
}

test('the order in which options are written is nothing', () => {
  const a = model({ engine: 'vllm', engineOptions: { seed: 1, speculative_config: { method: 'ngram', num_speculative_tokens: 3 } } });
  const b = model({ engine: 'vllm', engineOptions: { speculative_config: { num_speculative_tokens: 3, method: 'ngram' }, seed: 1 } });
  assert.equal(fingerprint(a), fingerprint(b));
});

test('whatever changes the process changes the fingerprint, and what does not leaves it', () => {
  const base = model({ env: { A: '1' }, engineOptions: { seed: 1 } });
  const others: readonly ModelConfig[] = [
    { ...base, source: { kind: 'path', value: '/m' } },
    { ...base, engineOptions: { seed: 2 } },
    { ...base, env: { A: '2' } },
    { ...base, env: { B: '1' } },
    { ...base, gpus: 1 },
    { ...base, command: ['/engine'] },
    { ...base, traits: { tokenizerSource: 't' } },
    { ...base, traits: { lora: { maxAdaptersPerReplica: 2 } } },
  ];
  const prints = new Set([base, ...others].map((each) => fingerprint(each)));
  assert.equal(prints.size, others.length + 1);
  assert.equal(fingerprint({ ...base, replicas: 9, priority: 3, maxOngoing: 1 }), fingerprint(base));
  assert.notEqual(fingerprint(base, plugin('fake'), new Map([['fake', ['/engine']]])), fingerprint(base));
});

test('a gateway that would start the same config differently has another fingerprint', () => {
  const vllm = model({ engine: 'vllm' });
  const now = plugin('vllm');
  const before = fingerprint(vllm, now);
  const line = now
    .configure({})
    .command({ model: { kind: 'reference', value: vllm.source.value }, servedName: 'demo', ...placeholders, stopGraceS: 15 });
  assert.notEqual(fingerprint(vllm, changed(now, { command: () => ({ ...line, args: [...line.args, '--new-flag'] }) })), before);
  assert.notEqual(fingerprint(vllm, changed(now, { command: () => ({ ...line, env: { ...line.env, NEW: '1' } }) })), before);
  assert.notEqual(fingerprint(vllm, changed(now, { executable: 'vllm-server' })), before);
  assert.equal(fingerprint(vllm, changed(now, { command: () => line, concurrency: 1 })), before);
});

test('a command is told under the key that gives it', () => {
  const commands: Config['engineCommands'] = new Map([['fake', ['/all']]]);
  assert.deepEqual(processFacts(model(), commands)['gateway.engines.fake.command'], ['/all']);
  const own = processFacts(model({ command: ['/own'] }), commands);
  assert.deepEqual([own['gateway.command'], own['gateway.engines.fake.command']], [['/own'], undefined]);
});
