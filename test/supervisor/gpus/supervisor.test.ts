import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { systemClock } from '../../../src/core/clock.ts';
import { GpuLedger } from '../../../src/supervisor/gpus/ledger.ts';
import { machineGpus } from '../../../src/supervisor/gpus/machine.ts';
import { fakeNvidiaSmi } from '../../support/fake-nvidia-smi.ts';
import type { FakeNvidiaSmi } from '../../support/fake-nvidia-smi.ts';
import { model } from '../support/model.ts';
import { real } from '../support/real.ts';
import type { Real } from '../support/real.ts';

/** A supervisor of fake engines on a machine with `count` GPUs, as a fake `nvidia-smi` tells them. */
async function machine(t: TestContext, count: number): Promise<{ smi: FakeNvidiaSmi; at: Real }> {
  const smi = fakeNvidiaSmi(t, count);
  const log = pino({ level: 'silent' });
  const gpus = new GpuLedger({ clock: systemClock, log, probe: machineGpus(smi.env), env: {} });
  return { smi, at: await real(t, { gpus }) };
}

function visible(pid: number | undefined): string | undefined {
  const environ = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  return environ.find((entry) => entry.startsWith('CUDA_VISIBLE_DEVICES='))?.split('=')[1];
}

test('each replica sees its own GPUs; the one too many waits, with the reason, until one is free with its memory', async (t) => {
  const { smi, at } = await machine(t, 2);
  at.apply(model({ name: 'a', gpus: 1 }), model({ name: 'b', gpus: 1, priority: 1 }), model({ name: 'c' }));
  await at.until(() => ['a', 'b', 'c'].every((name) => at.replica(0, name)?.state === 'ready'));
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => [visible(at.replica(0, name)?.pid), at.replica(0, name)?.gpus]),
    [
      ['1', ['1']],
      ['0', ['0']],
      ['', []],
    ],
  );
  at.apply(model({ name: 'a', gpus: 1 }), model({ name: 'd', gpus: 2 }));
  await at.until(() => at.replica(0, 'd')?.phase === 'waiting for 2 GPUs: 1 held by a-0');
  assert.equal(at.report('d')?.status.phase, 'waiting for 2 GPUs: 1 held by a-0');
  const card = smi.gpus[1];
  assert.ok(card);
  card.usedMiB = 70_000;
  smi.write();
  at.apply(model({ name: 'd', gpus: 2 }));
  await at.until(() => at.report('a') === undefined && at.supervisor.gpus()[1]?.usedBytes === 70_000 * 1_048_576);
  assert.equal(at.replica(0, 'd')?.state, 'pending');
  card.usedMiB = 0;
  smi.write();
  await at.until(() => at.replica(0, 'd')?.state === 'ready');
  assert.equal(visible(at.replica(0, 'd')?.pid), '0,1');
});

test('more GPUs than there are: pending, with the reason, while others serve', async (t) => {
  const { at } = await machine(t, 2);
  at.apply(model({ name: 'big', gpus: 3 }), model({ name: 'small', gpus: 1 }));
  await at.until(() => at.replica(0, 'small')?.state === 'ready');
  await at.until(() => at.replica(0, 'big')?.phase === 'needs 3 GPUs, there are 2 to use');
  assert.equal(at.replica(0, 'big')?.pid, undefined);
});

test('a replica whose GPU is lost starts again on another one; the lost one shows in the status', async (t) => {
  const { smi, at } = await machine(t, 2);
  at.apply(model({ gpus: 1 }));
  const first = await at.until(() => at.replica()?.state === 'ready' && at.replica());
  assert.deepEqual(first.gpus, ['0']);
  const card = smi.gpus[0];
  assert.ok(card);
  card.lost = true;
  smi.write();
  process.kill(first.pid ?? 0, 'SIGKILL');
  await at.until(() => at.replica()?.state === 'ready' && at.replica()?.pid !== first.pid);
  assert.deepEqual(at.replica()?.gpus, ['1']);
  assert.match(at.supervisor.gpus()[0]?.quarantined ?? '', /GPU is lost/);
});

test('a changed model without a GPU to spare is replaced one replica after the other', async (t) => {
  const { at } = await machine(t, 2);
  const changed = { engineOptions: { max_num_seqs: 3 } };
  at.apply(model({ gpus: 1, replicas: 2 }));
  await at.until(() => at.report()?.replicas.filter(({ state }) => state === 'ready').length === 2);
  const before = new Set(at.report()?.replicas.map(({ pid }) => pid));
  let fewest = 2;
  at.supervisor.subscribe(() => (fewest = Math.min(fewest, at.report()?.replicas.filter(({ state }) => state === 'ready').length ?? 0)));
  at.apply(model({ gpus: 1, replicas: 2, ...changed }));
  await at.until(() => {
    const replicas = at.report()?.replicas ?? [];
    return replicas.length === 2 && replicas.every(({ state, pid }) => state === 'ready' && !before.has(pid));
  });
  assert.equal(fewest, 1);
});

test('an engine whose GPU is lost while it loads is ended at once and starts on another', async (t) => {
  const smi = fakeNvidiaSmi(t, 2);
  const gpus = new GpuLedger({ clock: systemClock, log: pino({ level: 'silent' }), probe: machineGpus(smi.env), env: {}, lossPollMs: 50 });
  const at = await real(t, { gpus });
  at.apply(model({ name: 'a', gpus: 1, engineOptions: { ready_after_s: 3600 } }));
  await at.until(() => at.replica(0, 'a')?.state === 'starting' && at.replica(0, 'a')?.pid !== undefined);
  const [card] = smi.gpus;
  assert.ok(card);
  card.lost = true;
  smi.write();
  await at.until(() => at.replica(0, 'a')?.lastError);
  assert.deepEqual(
    { code: at.replica(0, 'a')?.lastError?.code, permanent: at.replica(0, 'a')?.lastError?.permanent },
    { code: 'gpu_lost', permanent: false },
  );
  assert.match(at.replica(0, 'a')?.lastError?.message ?? '', /was killed: the driver has lost its GPU \(GPU 0: GPU is lost\)/);
  await at.until(() => at.replica(0, 'a')?.gpus[0] === '1');
});
