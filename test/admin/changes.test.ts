import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { changesBetween } from '../../src/admin/changes.ts';
import type { Config, ModelConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { model } from '../supervisor/support/model.ts';

const base = loadConfig(join(import.meta.dirname, '../../configs/fake.yaml'), {
  env: {},
  engines,
  cores: 4,
  homeDir: '/home/someone',
}).config;
const config = (models: readonly ModelConfig[], over: Partial<Config> = {}): Config => ({ ...base, models, ...over });

/** A value that no config has. */
const other = { changed: true } as never;

test('no setting of a model changes unseen', () => {
  const before: ModelConfig = { ...model(), uncheckedOptions: false };
  const parts: readonly (keyof ModelConfig)[] = (Object.keys(before) as (keyof ModelConfig)[]).filter((key) => key !== 'name');
  for (const key of parts) {
    const [change] = changesBetween(config([before]), config([{ ...before, [key]: other }])).models;
    assert.notDeepEqual(change?.keys, [], `${key}: ${change?.action} and no key`);
  }
});

function seen(running: Config, next: Config): boolean {
  const { needsRestart, applies } = changesBetween(running, next);
  return needsRestart.length + applies.length > 0;
}

test('no setting of the gateway changes unseen', () => {
  // Each model tells of its own; `apps` follows from them and their prefixes; the file's name is no setting.
  const told = new Set<keyof Config>(['files', 'models', 'apps', 'engineCommands']);
  for (const key of (Object.keys(base) as (keyof Config)[]).filter((name) => !told.has(name)))
    assert.equal(seen(base, { ...base, [key]: other }), true, key);
});

test('the keys of a restart are those of the config', () => {
  const before = model({ engineOptions: { a: 1 }, env: { B: '1' } });
  const after = model({ engineOptions: { a: 2, c: 1 }, env: {}, replicas: 2 });
  assert.deepEqual(changesBetween(config([before]), config([after])).models, [
    { model: 'demo', action: 'restart', keys: ['engine_kwargs.a', 'engine_kwargs.c', 'runtime_env.env_vars.B'] },
  ]);
});

test('models are in the order of the new config, with the removed ones last', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => model({ name }));
  assert.ok(a && b && c);
  assert.deepEqual(
    changesBetween(config([a, b]), config([c, { ...b, replicas: 3 }])).models.map(({ model: name, action, keys }) => [
      name,
      action,
      ...keys,
    ]),
    [
      ['c', 'add'],
      ['b', 'keep', 'deployment_config.num_replicas'],
      ['a', 'remove'],
    ],
  );
});
