import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fakeNvidiaSmi, uuid } from '../support/fake-nvidia-smi.ts';
import { until } from '../support/until.ts';
import { model, patienceMs, row } from './support/row.ts';

const onGpus = (id: string, gpus: number): object => model(id, {}, {}, { gpus });
const lines = async (pid: number): Promise<readonly string[]> => (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');

row(16, async ({ t, start }) => {
  const { env } = fakeNvidiaSmi(t, 2);
  const gateway = await start([onGpus('both', 2), onGpus('one', 1), onGpus('three', 3)], { env });
  await gateway.pidOf('both');
  const never = await gateway.model('three', 'pending', ({ replicas: [replica] }) => replica?.state === 'pending' && replica);
  assert.match(never.phase, /needs 3 GPUs, there are 2 to use/u);
  const waits = await gateway.model('one', 'pending', ({ replicas: [replica] }) => replica?.state === 'pending' && replica);
  assert.match(waits.phase, /both-0/u);
  assert.equal((await gateway.engines()).length, 1, 'nothing was started on a GPU of somebody else');
  await gateway.writeConfig([onGpus('one', 1), onGpus('three', 3)]);
  assert.equal((await gateway.reload()).status, 200);
  await gateway.pidOf('one');
});

row(17, async ({ t, start }) => {
  const smi = fakeNvidiaSmi(t, 3);
  const card = smi.gpus[2];
  assert.ok(card);
  const part = 'MIG-11111111-0000-4000-8000-000000000000';
  card.mig = [{ profile: '1g.10gb', uuid: part }];
  smi.write();
  for (const [inherited, given] of [
    ['1', '1'],
    [uuid(1), '1'],
    [part, part],
  ] as const) {
    const gateway = await start([onGpus('m', 1)], {
      env: { ...smi.env, CUDA_VISIBLE_DEVICES: inherited, CUDA_DEVICE_ORDER: 'FASTEST_FIRST' },
    });
    const environment = await lines(await gateway.pidOf('m'));
    assert.ok(environment.includes(`CUDA_VISIBLE_DEVICES=${given}`), `inherited ${inherited}: ${environment.join(' ')}`);
    assert.ok(environment.includes('CUDA_DEVICE_ORDER=PCI_BUS_ID'));
  }
  const masked = { ...onGpus('m', 1), runtime_env: { env_vars: { CUDA_VISIBLE_DEVICES: '0' } } };
  await assert.rejects(start([masked], { env: smi.env }), /ended with \d+ [\s\S]*config\.yaml:1:\d+[^\n]*CUDA_VISIBLE_DEVICES/u);
});

row(18, async ({ t, start, excuse }) => {
  excuse(/GPU 0 is out of use: GPU is lost/u);
  const smi = fakeNvidiaSmi(t, 2);
  const gateway = await start([onGpus('m', 1)], { env: smi.env });
  const pid = await gateway.pidOf('m');
  const card = smi.gpus[0];
  assert.ok(card);
  card.lost = true;
  smi.write();
  await until('moved', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  const { gpus } = await gateway.model('m', 'on the other one', ({ replicas: [replica] }) => replica);
  assert.deepEqual(gpus, ['1']);
  const status = (await (await fetch(`${gateway.adminUrl}/api/status`)).json()) as { gpus: { quarantined?: string }[] };
  assert.match(status.gpus[0]?.quarantined ?? '', /GPU is lost/u);
});

row(25, async ({ t, start }) => {
  const smi = fakeNvidiaSmi(t, 1);
  const gateway = await start([onGpus('m', 1)], { env: smi.env });
  const pid = await gateway.pidOf('m');
  const card = smi.gpus[0];
  assert.ok(card);
  card.usedMiB = 40_000;
  smi.write();
  process.kill(-pid, 'SIGKILL');
  const waits = await gateway.model('m', 'waits for the memory', ({ replicas: [replica] }) => replica?.state === 'pending' && replica);
  assert.equal(waits.pid, undefined);
  assert.deepEqual(await gateway.engines(), []);
  card.usedMiB = 0;
  smi.write();
  const next = await gateway.pidOf('m');
  // What never comes free is somebody else's: it is not waited for without end.
  card.usedMiB = 40_000;
  smi.write();
  process.kill(-next, 'SIGKILL');
  await gateway.logged(/memory of GPU 0 is still in use 30 s after m-0 ended/u);
  assert.notEqual(await gateway.pidOf('m'), next);
});
