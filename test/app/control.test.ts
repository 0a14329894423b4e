import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { Scaler } from '../../src/autoscale/scaler.ts';
import { RunningControl, type RunningControlDeps } from '../../src/app/control.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Access, keyDigest } from '../../src/core/access.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { Supervisor } from '../../src/supervisor/supervisor.ts';
import type { LaunchPlan } from '../../src/supervisor/launch-plan.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { plannedOn } from '../support/planned.ts';
import { temporaryFolder } from '../config/load-text.ts';

/** What a reload comes to on a machine with two GPUs. */
const preview = (config: Config): Promise<LaunchPlan> => plannedOn(2, config);

/** The control of a gateway that runs `file`; of the supervisor nothing else is used here. */
function controlOf(file: string, more: Pick<RunningControlDeps, 'supervisor'> & Partial<RunningControlDeps>): RunningControl {
  const before = loadConfig(file, { env: {}, engines, cores: 4, homeDir: '/home/someone' }).config;
  return new RunningControl(before, {
    engines,
    env: {},
    wallClockSeconds: () => 0,
    status: () => assert.fail('not asked'),
    checkOptions: () => Promise.resolve([]),
    onStop: undefined,
    allow: () => undefined,
    scaler: new Scaler({
      clock: new ManualClock(),
      log: pino({ level: 'silent' }),
      loads: () => [],
      scale: () => undefined,
      findsGpus: () => false,
      keepGpusFor: () => undefined,
      kept: { read: () => new Map(), write: () => undefined },
      wallClockMs: () => 0,
    }),
    ...more,
  });
}

test('what a reload has changed stays so when a model is scaled afterwards', async (t) => {
  const file = join(temporaryFolder(t), 'config.yaml');
  const write = (gpus: string, port: number): void =>
    writeFileSync(
      file,
      `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\ngateway: {workers: 1, state_dir: ./state, gpus: ${gpus}, listen: {port: ${port}}}\n`,
    );
  write('[0]', 8001);
  const applied: Config[] = [];
  const supervisor = { apply: (config: Config) => applied.push(config), preview } as unknown as Supervisor;
  const control = controlOf(file, { supervisor: () => supervisor });
  write('[0, 1]', 8002);
  const { applies, needsRestart } = await control.reload();
  assert.deepEqual([applies, needsRestart], [['gateway.gpus'], ['gateway.listen']]);
  control.scale('m', 3);
  assert.deepEqual(
    applied.map(({ gpus, models }) => [gpus, models[0]?.replicas]),
    [
      [[0, 1], 1],
      [[0, 1], 3],
    ],
  );
  const again = await control.reload();
  assert.deepEqual([again.applies, again.needsRestart], [[], ['gateway.listen']], 'told until the gateway is started anew');
});

test('a reload to a model that needs more GPUs than there are is refused with its place, and changes nothing', async (t) => {
  const file = join(temporaryFolder(t), 'config.yaml');
  const write = (gpus: number): void =>
    writeFileSync(file, `llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: fake\n    gateway: {gpus: ${gpus}}\n`);
  write(1);
  const applied: Config[] = [];
  const supervisor = { apply: (config: Config) => applied.push(config), preview } as unknown as Supervisor;
  const control = controlOf(file, { supervisor: () => supervisor });
  write(4);
  await assert.rejects(control.reload(), {
    code: 'config_invalid',
    message:
      /config\.yaml:2:5: llm_configs\[0\]: its replica can never start on this machine: m-0: needs 4 GPUs, there are 2 to use; expected/u,
  });
  assert.deepEqual([applied, control.reloads().lastSuccessful], [[], false]);
  write(2);
  await control.reload();
  assert.deepEqual([applied.length, control.reloads().lastSuccessful], [1, true]);
});

test('a reload gives the data plane its keys before the supervisor its models, and none where it is refused', async (t) => {
  const file = join(temporaryFolder(t), 'config.yaml');
  const write = (key: string): void =>
    writeFileSync(
      file,
      `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\ngateway: {workers: 1, keys: [{name: alice, key: ${key}}]}\n`,
    );
  const first = 'first-key-0123456789';
  const second = 'second-key-0123456789';
  write(first);
  const steps: string[] = [];
  const supervisor = { apply: () => steps.push('models'), preview } as unknown as Supervisor;
  const allow = ({ keys }: Access): void => void steps.push(...keys.map(({ sha256 }) => sha256));
  const control = controlOf(file, { supervisor: () => supervisor, allow });
  write(second);
  assert.deepEqual((await control.reload()).applies, ['gateway.keys']);
  assert.deepEqual(steps, [keyDigest(second), 'models']);
  write('"with blank"');
  await assert.rejects(control.reload(), { code: 'config_invalid' });
  assert.equal(steps.length, 2);
});

test('reloads take turns, so that the file as it was last holds, and one that is refused changes nothing', async (t) => {
  const file = join(temporaryFolder(t), 'config.yaml');
  const write = (replicas: number): void =>
    writeFileSync(
      file,
      `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake, deployment_config: {num_replicas: ${replicas}}}]\n`,
    );
  write(1);
  const applied: (number | undefined)[] = [];
  const supervisor = { apply: ({ models }: Config) => applied.push(models[0]?.replicas), preview } as unknown as Supervisor;
  const checks: PromiseWithResolvers<readonly []>[] = [];
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const control = controlOf(file, {
    supervisor: () => supervisor,
    checkOptions: () => {
      const check = Promise.withResolvers<readonly []>();
      checks.push(check);
      asked[checks.length - 1]?.resolve();
      return check.promise;
    },
  });
  write(2);
  const first = control.reload();
  const second = control.reload();
  const third = control.reload();
  await asked[0]?.promise;
  assert.equal(checks.length, 1, 'the others wait');
  write(3);
  checks[0]?.resolve([]);
  await first;
  await asked[1]?.promise;
  checks[1]?.reject(new GatewayError('config_invalid', 'no option of the installed engine'));
  await assert.rejects(second, { code: 'config_invalid' });
  await asked[2]?.promise;
  checks[2]?.resolve([]);
  await third;
  assert.deepEqual(applied, [2, 3]);
});
