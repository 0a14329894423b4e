import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';
import { until } from '../support/until.ts';

test('an engine that runs and should be upgraded is told of once at the start, in the log and in the status', async (t) => {
  const gateway = await startGateway(t, [fakeModel('old', { version: '0.9.1' }, { num_replicas: 2 }), fakeModel('new')]);
  const warning = /warning: engine fake: 0\.9\.1 is older than 1\.0\.0: an advisory/gu;
  await gateway.printed(new RegExp(warning.source, 'u'));
  await until('both old replicas have told', async () => {
    const [old] = await gateway.status();
    return old?.replicas.every(({ version, advisory }) => version === '0.9.1' && advisory !== undefined) === true;
  });
  const fresh = (await gateway.status())[1]?.replicas[0];
  assert.deepEqual([fresh?.version, fresh?.advisory], ['1.0.0', undefined]);
  assert.equal(gateway.output().match(warning)?.length, 1);
  assert.match(gateway.log(), /"level":40[^\n]*"engine":"fake","version":"0\.9\.1"[^\n]*should be upgraded/u);
  const { stdout } = await runGateway(['status', '--state-dir', gateway.stateDir]);
  assert.match(stdout, /\nold +#1 +ready[^\n]* fake 0\.9\.1\n/u);
  assert.equal(stdout.match(warning)?.length, 1);
});

test('a real llama-server tells the build that it is', { skip: skipReal }, async (t) => {
  const gateway = await startGateway(t, [realModel(1)], { more: realEngine });
  const printed = spawnSync(quickstart.engine, ['--version'], { encoding: 'utf8' });
  const build = /(?:build |version: )(\d{3,})/.exec(printed.stderr + printed.stdout)?.[1] ?? assert.fail(printed.stderr);
  await until('it has told', async () => (await gateway.status())[0]?.replicas[0]?.version === build);
});

test('what an engine can do is in the status once it is ready, and is read anew after a restart', async (t) => {
  const gateway = await startGateway(t, [fakeModel('long', { max_model_len: 4096 }), fakeModel('plain')]);
  const told = async (): Promise<unknown[]> => (await gateway.status()).map(({ replicas }) => replicas[0]?.capabilities);
  await until('the first has told', async () => (await told())[0] !== undefined);
  assert.deepEqual(await told(), [{ maxModelLen: 4096 }, undefined]);
  const card = async (): Promise<string> => (await fetch(`${gateway.url}/v1/models/long`)).text();
  await until('its card tells it too', async () => (await card()).includes('"max_model_len":4096'));
  process.kill((await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail(), 'SIGKILL');
  await until('it is back', async () => {
    const [replica] = (await gateway.status())[0]?.replicas ?? [];
    return replica?.restarts === 1 && replica.capabilities?.maxModelLen === 4096;
  });
});

test('a real llama-server tells its context, that it has no eyes, and that its template shows no tools', { skip: skipReal }, async (t) => {
  const gateway = await startGateway(t, [realModel(1)], { more: realEngine });
  await until('it has told', async () => (await gateway.status())[0]?.replicas[0]?.capabilities !== undefined);
  assert.deepEqual((await gateway.status())[0]?.replicas[0]?.capabilities, { maxModelLen: 1024, vision: false, tools: false });
});
