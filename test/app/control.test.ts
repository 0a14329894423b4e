import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RunningControl } from '../../src/app/control.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { Supervisor } from '../../src/supervisor/supervisor.ts';
import { temporaryFolder } from '../config/load-text.ts';

test('what a reload has changed stays so when a model is scaled afterwards', (t) => {
  const file = join(temporaryFolder(t), 'config.yaml');
  const write = (gpus: string, port: number): void =>
    writeFileSync(
      file,
      `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\ngateway: {workers: 1, state_dir: ./state, gpus: ${gpus}, listen: {port: ${port}}}\n`,
    );
  write('[0]', 8001);
  const applied: Config[] = [];
  // Of the supervisor nothing else is used here.
  const supervisor = { apply: (config: Config) => applied.push(config) } as unknown as Supervisor;
  const before = loadConfig(file, { env: {}, engines, cores: 4, homeDir: '/home/someone' }).config;
  const control = new RunningControl(before, {
    env: {},
    supervisor: () => supervisor,
    status: () => assert.fail('not asked'),
    onStop: undefined,
  });
  write('[0, 1]', 8002);
  const { applies, needsRestart } = control.reload();
  assert.deepEqual([applies, needsRestart], [['gateway.gpus'], ['gateway.listen']]);
  control.scale('m', 3);
  assert.deepEqual(
    applied.map(({ gpus, models }) => [gpus, models[0]?.replicas]),
    [
      [[0, 1], 1],
      [[0, 1], 3],
    ],
  );
  const again = control.reload();
  assert.deepEqual([again.applies, again.needsRestart], [[], ['gateway.listen']], 'told until the gateway is started anew');
});
