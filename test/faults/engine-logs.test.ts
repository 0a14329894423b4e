import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { assertFlat, probed } from './support/memory.ts';
import { sumOf } from './support/oracles.ts';
import { needsRoot } from './support/privileges.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

const mib = 2 ** 20;

async function residentMiB(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function lost(gateway: Victim, how: 'unread' | 'unkept'): Promise<number> {
  const found = new RegExp(`^roundhouse_replica_log_lost_bytes_total\\{[^}]*how="${how}"[^}]*\\} (\\S+)$`, 'mu').exec(
    await gateway.metrics(),
  );
  return Number(found?.[1]);
}

row(26, async ({ t, start }) => {
  const gateway = await start([model('m', { log_flood_mb_s: 50 })], probed);
  const pid = await gateway.pidOf('m');
  const before = await residentMiB(gateway.pid);
  let most = before;
  await assertFlat(t, gateway, async () => {
    const already = await lost(gateway, 'unread');
    await until(
      '150 MiB are skipped',
      async () => {
        assert.equal((await gateway.ask('m')).status, 200);
        most = Math.max(most, await residentMiB(gateway.pid));
        return (await lost(gateway, 'unread')) - already > 150 * mib;
      },
      patienceMs,
    );
  });
  const page = await gateway.metrics();
  const lag = 'roundhouse_event_loop_lag_seconds';
  const late = ['control', 'data'].map((plane) => `${plane} ${sumOf(page, lag, `plane="${plane}",quantile="0.99"`)} s`);
  t.diagnostic(`event loops late by at most, in 99 of 100 turns: ${late.join(', ')}`);
  assert.ok(most - before < 150, `${(most - before).toFixed(0)} MiB more than the ${before.toFixed(0)} MiB before`);
  assert.equal(await gateway.pidOf('m'), pid, 'the engine is the same');
  const file = await gateway.model('m', 'its log', ({ replicas: [replica] }) => replica?.logFile);
  // Its limit is 64 MiB; what comes while it is looked at and copied is on top.
  await until('the log was cut', async () => (await stat(`${file}.1`).catch(() => undefined)) !== undefined, patienceMs);
  assert.ok((await stat(file)).size < 512 * mib);
});

row(
  27,
  async ({ t, start }) => {
    const stateDir = join(await tempDir(t), 'state');
    await mkdir(stateDir);
    const prefix = ['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o size=8m none ${stateDir} && exec "$@"`, 'sh'];
    const gateway = await start([model('m', { log_flood_mb_s: 10 })], { stateDir, prefix });
    // As the gateway sees it: the mount is its own.
    const seen = (path: string): string => `/proc/${gateway.pid}/root${path}`;
    await until('the disk is full', async () => (await statfs(seen(stateDir))).bavail === 0, patienceMs);
    const pid = await gateway.pidOf('m');
    for (let at = 0; at < 5; at += 1) assert.equal((await gateway.ask('m')).status, 200);
    assert.equal(await gateway.pidOf('m'), pid, 'the engine is the same');
    const logFile = await gateway.model('m', 'its log', ({ replicas: [replica] }) => replica?.logFile);
    process.kill(-pid, 'SIGKILL');
    const full = /no space left/iu;
    await gateway.model('m', 'it says why none is started', ({ replicas: [replica] }) => full.test(replica?.lastError?.message ?? ''));
    await rm(seen(logFile), { force: true });
    await until('started once there is room', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
    assert.equal((await gateway.ask('m')).status, 200);
  },
  { skip: needsRoot },
);
