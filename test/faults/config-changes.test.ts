import assert from 'node:assert/strict';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fakeNvidiaSmi } from '../support/fake-nvidia-smi.ts';
import { runGateway } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { sumOf } from './support/oracles.ts';
import { model, patienceMs, row } from './support/row.ts';

row(151, async ({ t, start }) => {
  const { env } = fakeNvidiaSmi(t, 2);
  const gateway = await start([model('m')], { env });
  const pid = await gateway.pidOf('m');
  // The page is up to a second old.
  const reloadShown = async (): Promise<number> => sumOf(await gateway.metrics(), 'roundhouse_config_last_reload_successful');
  const broken = [
    ['syntax', 'llm_configs: [{\n', /config\.yaml:\d+:\d+/u],
    [
      'schema',
      JSON.stringify({ llm_configs: [{ model_loading_config: { model_id: 'm' }, llm_engine: 'nope' }] }),
      /config\.yaml:1:\d+: .*nope/u,
    ],
  ] as const;
  for (const [what, text, place] of broken) {
    await writeFile(gateway.configFile, text);
    const { code, stderr } = await runGateway(['reload', '--state-dir', gateway.stateDir]);
    assert.equal(code, 4, what);
    assert.match(stderr, place);
    assert.equal(await gateway.pidOf('m'), pid);
    assert.equal((await gateway.ask('m')).status, 200);
    await until(`the metrics tell of it: ${what}`, async () => (await reloadShown()) === 0);
  }
  await gateway.writeConfig([model('m'), model('big', {}, {}, { gpus: 3 })]);
  const crowded = await runGateway(['reload', '--state-dir', gateway.stateDir]);
  assert.equal(crowded.code, 4);
  assert.match(crowded.stderr, /config\.yaml:\d+:\d+: .*needs 3 GPUs, there are 2 to use/u);
  await gateway.writeConfig([model('m')]);
  assert.equal((await gateway.reload()).status, 200);
  await until('the metrics tell that it is well again', async () => (await reloadShown()) === 1);
  assert.equal(await gateway.pidOf('m'), pid);
});

row(152, async ({ start }) => {
  const stays = model('stays', { tokens: 60, tokens_per_s: 20 });
  const gateway = await start([stays, model('changes'), model('leaves', { tokens: 40, tokens_per_s: 20 })]);
  const before = { stays: await gateway.pidOf('stays'), changes: await gateway.pidOf('changes') };
  const streams = [await gateway.stream('stays'), await gateway.stream('leaves')];
  for (const stream of streams) await stream.until(/data: \{"id"/u);
  await gateway.writeConfig([stays, model('changes', { seed: 1 })]);
  const { code, stdout } = await runGateway(['reload', '--state-dir', gateway.stateDir]);
  assert.equal(code, 0);
  for (const name of ['changes', 'leaves']) assert.match(stdout, new RegExp(name, 'u'));
  await gateway.model('changes', 'replaced', ({ replicas }) =>
    replicas.every(({ state, pid }) => state === 'ready' && pid !== before.changes),
  );
  for (const stream of streams) assert.match(await stream.rest(), /data: \[DONE\]\n\n$/u);
  assert.equal(await gateway.pidOf('stays'), before.stays);
  await until('the removed one is gone', async () => (await gateway.engines()).length === 2, patienceMs);
  assert.equal((await gateway.ask('leaves')).code, 'model_not_found');
});

row(153, async ({ start }) => {
  const gateway = await start([model('m')], { flags: ['--watch'] });
  const pid = await gateway.pidOf('m');
  const whole = await readFile(gateway.configFile, 'utf8');
  await writeFile(gateway.configFile, whole.slice(0, whole.length / 2));
  await gateway.printed(/The config was not accepted; what runs goes on as it was\.\n[^\n]*config\.yaml:\d+:\d+: /u);
  assert.equal(await gateway.pidOf('m'), pid);
  // As an editor saves: beside it, then renamed over it.
  await writeFile(`${gateway.configFile}.swp`, whole.replace('"num_replicas":1', '"num_replicas":2'));
  await rename(`${gateway.configFile}.swp`, gateway.configFile);
  await gateway.printed(/The config was read again\.\n/u);
  assert.equal(await gateway.pidOf('m'), pid);
  // As Kubernetes changes a ConfigMap: a link to another directory takes the place of the former link.
  const dir = join(dirname(gateway.configFile), 'next');
  await mkdir(dir);
  await writeFile(join(dir, 'config.yaml'), whole.replaceAll('"model_id":"m"', '"model_id":"n"'));
  await symlink(join(dir, 'config.yaml'), `${gateway.configFile}.link`);
  await rename(`${gateway.configFile}.link`, gateway.configFile);
  await gateway.printed(/\nn: ready/u);
  assert.equal((await gateway.ask('n')).status, 200);
  assert.equal([...gateway.output().matchAll(/The config was not accepted/gu)].length, 1, 'what is wrong is told once');
  assert.equal([...gateway.output().matchAll(/The config was read again/gu)].length, 2, 'each text is read once');
});
