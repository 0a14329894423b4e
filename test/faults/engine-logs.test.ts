import assert from 'node:assert/strict';
import { mkdir, open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { probed } from './support/memory.ts';
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

row(26, async ({ t, start, flat }) => {
  const gateway = await start([model('m', { log_flood_mb_s: 50 })], probed);
  const pid = await gateway.pidOf('m');
  const before = await residentMiB(gateway.pid);
  let most = before;
  await flat(gateway, async () => {
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

/** Writes to a file until there is no room for more. */
async function fill(file: string): Promise<true> {
  const handle = await open(file, 'a');
  try {
    for (;;) await handle.write(Buffer.alloc(4096));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    return true;
  } finally {
    await handle.close();
  }
}

row(
  27,
  async ({ t, start }) => {
    const stateDir = join(await tempDir(t), 'state');
    await mkdir(stateDir);
    const prefix = ['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o size=8m none ${stateDir} && exec "$@"`, 'sh'];
    const gateway = await start([model('m', { log_flood_mb_s: 10 }), model('quiet')], { stateDir, prefix });
    // As the gateway sees it: the mount is its own.
    const seen = (path: string): string => `/proc/${gateway.pid}/root${path}`;
    // Twice the disk: its log has been cut, and counted, more than once.
    await until('what was lost is counted', async () => (await lost(gateway, 'unkept')) > 16 * mib, patienceMs);
    const pids = [await gateway.pidOf('m'), await gateway.pidOf('quiet')];
    for (let at = 0; at < 5; at += 1) assert.equal((await gateway.ask('m')).status, 200);
    // Now somebody else takes all the room, and the log of the engine finds none: what it cannot write it does not wait for.
    const ballast = seen(join(stateDir, 'ballast'));
    const logFile = await gateway.model('m', 'its log', ({ replicas: [replica] }) => replica?.logFile);
    // Its log is too small to be cut by then, and stays so.
    const isFull = async (): Promise<boolean> =>
      (await fill(ballast)) && (await stat(seen(logFile))).size < 65_536 && (await statfs(seen(stateDir))).bavail === 0;
    await until('the disk is full', isFull, patienceMs);
    for (const name of ['m', 'quiet']) assert.equal((await gateway.ask(name)).status, 200);
    assert.deepEqual([await gateway.pidOf('m'), await gateway.pidOf('quiet')], pids, 'the engines are the same');
    let killed = pids[1] ?? 0;
    process.kill(-killed, 'SIGKILL');
    const full = /no space left/iu;
    const isToldOf = async (): Promise<boolean> => {
      await fill(ballast);
      const replica = (await gateway.status()).find(({ name }) => name === 'quiet')?.replicas[0];
      // A page that its end had freed was enough for another start, before the flood took it: once more.
      if (replica?.state === 'ready' && replica.pid !== undefined && replica.pid !== killed) {
        killed = replica.pid;
        process.kill(-killed, 'SIGKILL');
      }
      return full.test(replica?.lastError?.message ?? '');
    };
    await until('it says why none is started', isToldOf, patienceMs);
    await rm(ballast);
    await until('started once there is room', async () => (await gateway.pidOf('quiet')) !== killed, patienceMs);
    assert.equal((await gateway.ask('quiet')).status, 200);
    assert.equal((await gateway.ask('m')).status, 200);
    assert.equal(await gateway.pidOf('m'), pids[0]);
  },
  { skip: needsRoot },
);
