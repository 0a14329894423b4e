import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { support } from '../../../src/plugins/sglang/lora.ts';
import { inspect } from '../../../src/supervisor/adapters/inspect.ts';
import { temporaryDir } from '../../support/model-store.ts';

/** A safetensors file whose header names these tensors; it has no data. */
function safetensors(names: readonly string[]): Buffer {
  const header = Buffer.from(
    JSON.stringify(Object.fromEntries(names.map((name) => [name, { dtype: 'F16', shape: [0], data_offsets: [0, 0] }]))),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

const layer = 'base_model.model.model.layers.3.mlp';

test('an adapter with up_proj and no gate_proj, which would end the server, is told from all others by its files', async (t) => {
  const dir = temporaryDir(t);
  const problemOf = async (name: string, tensors: readonly string[]): Promise<string | undefined> => {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'adapter_config.json'), '{}');
    writeFileSync(join(dir, name, 'adapter_model.safetensors'), safetensors(tensors));
    return support.problem?.(await inspect(join(dir, name), 'peft'));
  };
  const [up, gate, down] = ['up', 'gate', 'down'].map((part) => `${layer}.${part}_proj.lora_A.weight`) as [string, string, string];
  assert.match((await problemOf('half', [up, down])) ?? '', /layers\.3\.mlp\.up_proj.*no gate_proj/);
  assert.match((await problemOf('other-layer', [up, gate.replace('.3.', '.4.')])) ?? '', /no gate_proj/);
  for (const [name, tensors] of Object.entries({ both: [up, gate], neither: [down], gate: [gate] }))
    assert.equal(await problemOf(name, tensors), undefined);
  const trained = fileURLToPath(new URL('../../fixtures/models/pirate', import.meta.url));
  assert.equal(support.problem?.(await inspect(trained, 'peft')), undefined);
});

test('an adapter whose head cannot be read is invalid', async (t) => {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, 'adapter_config.json'), '{}');
  writeFileSync(join(dir, 'adapter_model.safetensors'), Buffer.from([255, 255, 255, 255, 255, 0, 0, 0]));
  await assert.rejects(inspect(dir, 'peft'), { code: 'adapter_invalid', message: /header of \d+ bytes/ });
  writeFileSync(join(dir, 'adapter_config.json'), '[]');
  await assert.rejects(inspect(dir, 'peft'), { code: 'adapter_invalid', message: /no object/ });
});
