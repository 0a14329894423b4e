import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fakeModel, type GatewayProcess, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { isAlive } from '../supervisor/support/real.ts';
import { probed } from './support/memory.ts';
import { sumOf } from './support/oracles.ts';
import { needsRoot } from './support/privileges.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

/** Runs `script` in a mount namespace of its own before the gateway. */
const withMounts = (script: string): readonly string[] => ['unshare', '--mount', 'sh', '-c', `${script} && exec "$@"`, 'sh'];

interface Process {
  readonly pid: number;
  readonly zombie: boolean;
  readonly parent: number;
}

async function processes(): Promise<readonly Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/u.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')));
  return stats.flatMap((stat, at) => {
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return stat === '' ? [] : [{ pid: Number(pids[at]), zombie: state === 'Z', parent: Number(parent) }];
  });
}

const childrenOf = async (parent: number): Promise<readonly Process[]> => (await processes()).filter((child) => child.parent === parent);

async function onlyChildOf(parent: number): Promise<number> {
  const [child, ...others] = await childrenOf(parent);
  assert.ok(child !== undefined && others.length === 0);
  return child.pid;
}

/** Kills a replica with its worker and its daemon, and waits for the next one. */
async function orphanSome(gateway: GatewayProcess): Promise<void> {
  const before = await gateway.engines();
  assert.equal(before.length, 3);
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await until('replaced', async () => (await gateway.engines()).filter((pid) => !before.includes(pid)).length === 3, patienceMs);
  assert.deepEqual(before.filter(isAlive), []);
}

const inNamespace = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

row(
  41,
  async ({ t }) => {
    const family = model('m', { daemonise: true, fork: 1 });
    const bare = await startGateway(t, [family], { prefix: inNamespace });
    assert.match(bare.output(), /warning: the gateway is process 1 [^\n]*docker run --init/u);
    await orphanSome(bare);
    process.kill(await onlyChildOf(bare.pid), 'SIGTERM');
    assert.deepEqual(await bare.exited, { code: 0, signal: null });

    const tended = await startGateway(t, [family], { prefix: [...inNamespace, 'sh', '-c', '"$@" & wait $!', 'sh'] });
    assert.doesNotMatch(tended.output(), /process 1/u);
    const init = await onlyChildOf(tended.pid);
    const gateway = await onlyChildOf(init);
    await orphanSome(tended);
    await until('no zombies', async () => (await childrenOf(init)).every(({ zombie }) => !zombie), patienceMs);
    process.kill(gateway, 'SIGTERM');
    assert.deepEqual(await tended.exited, { code: 0, signal: null });
  },
  { skip: needsRoot },
);

row(148, async ({ t, start, flat }) => {
  // Enough for the gateway itself, and for some fifty connections; the lower limit is raised to the upper one at the start.
  const limit = 110;
  const gateway = await start([model('m', { tokens: 10_000, tokens_per_s: 20 })], {
    prefix: ['prlimit', `--nofile=${limit - 40}:${limit}`],
    ...probed,
  });
  const stream = await gateway.stream('m');
  await stream.until(/data: \{"id"/u);
  const { hostname, port } = new URL(gateway.url);
  await flat(gateway, async () => {
    const sockets = Array.from({ length: 200 }, (): Socket => connect(Number(port), hostname).on('error', () => undefined));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    await until('no descriptor is left', async () => (await readdir(`/proc/${gateway.pid}/fd`)).length >= limit - 2, patienceMs);
    const before = (await stream.until(/data:/u)).length;
    await stream.until(new RegExp(`^[\\s\\S]{${before + 2000},}`, 'u'));
    for (const socket of sockets) socket.destroy();
    await until('they are closed', async () => (await readdir(`/proc/${gateway.pid}/fd`)).length < limit - 40, patienceMs);
  });
  stream.leave();
  await gateway.model('m', 'its place is free again', ({ replicas: [replica] }) => replica?.inFlight === 0);
  const next = await gateway.stream('m');
  await next.until(/data: \{"id"/u);
  next.leave();
  const page = await gateway.metrics();
  assert.equal(sumOf(page, 'process_max_fds'), limit);
  const open = sumOf(page, 'process_open_fds');
  assert.ok(open > 20 && open < limit, `${open} descriptors`);
});

row(149, async ({ start }) => {
  // Without probes, all its connections are those of requests.
  const gateway = await start([fakeModel('m', { keep_alive_ms: 60_000 }, { health_check_period_s: 3600 })]);
  const upstream = await gateway.model('m', 'ready', ({ replicas: [replica] }) => replica?.upstream);
  const port = Number(new URL(upstream).port);
  // Those that a start leaves.
  const before = await portsTowards(port);
  for (let round = 0; round < 25; round += 1) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => gateway.ask('m')));
    assert.ok(replies.every(({ status }) => status === 200));
  }
  const used = (await portsTowards(port)).filter((own) => !before.includes(own));
  // Two workers, each with one for every place of the replica; and what the control plane asks of a new engine.
  assert.ok(used.length > 0 && used.length <= 16 + 4, `${used.length} ports for 200 requests`);
});

/** Ports that connections to a local port take at the client's end, those included that wait for their end to be forgotten. */
async function portsTowards(port: number): Promise<readonly string[]> {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/u));
  return rows.flatMap(([, local, to]) => (to === remote && local !== undefined ? [local] : []));
}

row(
  150,
  async ({ t, start }) => {
    const dir = await tempDir(t);
    const readOnly = join(dir, 'read-only');
    const prefix = withMounts(`mkdir ${readOnly} && mount -t tmpfs -o ro none ${readOnly}`);
    await assert.rejects(
      start([model('m')], { stateDir: join(readOnly, 'state'), prefix }),
      /ended with 1 [\s\S]*Cannot use the state directory [^\n]*read-only[^\n]*\(gateway\.state_dir\)/u,
    );
    await writeFile(join(dir, 'file'), '');
    await assert.rejects(start([model('m')], { stateDir: join(dir, 'file') }), /ended with 1 [\s\S]*Cannot use the state directory/u);
    const ownDisk = join(dir, 'own-disk');
    const onOwnDisk = { stateDir: ownDisk, prefix: withMounts(`mkdir ${ownDisk} && mount -t tmpfs none ${ownDisk}`) };
    const [deleted, without, reading] = await Promise.all([
      start([model('m')]),
      start([model('m')], onOwnDisk),
      start([model('m')], { prefix: withMounts('true') }),
    ]);
    await Promise.all([
      losesItsStateDir(deleted, ({ stateDir }) => rm(stateDir, { recursive: true })),
      losesItsStateDir(without, async (gateway) => inItsMounts(gateway, 'umount', '--lazy', ownDisk)),
      mayOnlyRead(reading),
    ]);
    const second = await runGateway(['start', '-c', deleted.configFile]);
    assert.equal(second.code, 3, 'the first one is still the only owner');
  },
  { skip: needsRoot },
);

/** Runs a command where a gateway sees what it mounts. */
const inItsMounts = ({ pid }: GatewayProcess, ...command: readonly string[]): Buffer =>
  execFileSync('nsenter', [`--mount=/proc/${pid}/ns/mnt`, ...command]);

/** Its state directory goes away, with all that is in it: deleted, or with its disk. */
async function losesItsStateDir(gateway: Victim, lose: (gateway: Victim) => Promise<unknown>): Promise<void> {
  const pid = await gateway.pidOf('m');
  await lose(gateway);
  assert.equal((await gateway.ask('m')).status, 200);
  await gateway.logged(/was deleted or replaced while the gateway ran; it was made anew/u);
  assert.equal((await readdir(join(gateway.stateDir, 'leases'))).length, 1, 'the next gateway finds the engine');
  process.kill(-pid, 'SIGKILL');
  await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  assert.equal((await gateway.ask('m')).status, 200);
}

/** Its state directory is mounted read-only, and then as it was. What is open for writing stays so, as on a disk that fails. */
async function mayOnlyRead(gateway: Victim): Promise<void> {
  const { stateDir } = gateway;
  const pid = await gateway.pidOf('m');
  inItsMounts(gateway, 'mount', '--options', 'bind,ro', stateDir, stateDir);
  await gateway.logged(/Cannot use the state directory [^\n]*read-only[^\n]* What runs goes on/u);
  assert.equal((await gateway.ask('m')).status, 200);
  assert.equal(await gateway.pidOf('m'), pid, 'nothing ends for it');
  process.kill(-pid, 'SIGKILL');
  const told = /read-only/u;
  await gateway.model('m', 'it says why none is started', ({ replicas: [replica] }) => told.test(replica?.lastError?.message ?? ''));
  inItsMounts(gateway, 'umount', stateDir);
  await until('started once it can be written', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  assert.equal((await gateway.ask('m')).status, 200);
  await gateway.logged(/can be used again/u);
}

/** Asks for the page and never reads it. */
function deafScraper(t: TestContext, adminUrl: string): void {
  const { hostname, port } = new URL(adminUrl);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  t.after(() => socket.destroy());
  socket.pause().write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
}

row(154, async ({ t, start, flat }) => {
  const gateway = await start([model('m', { tokens: 20, tokens_per_s: 20, max_num_seqs: 50 })], probed);
  for (let count = 0; count < 5; count += 1) deafScraper(t, gateway.adminUrl);
  await flat(gateway, async () => {
    const begun = performance.now();
    const scrapes = Array.from({ length: 100 }, async () => {
      const page = await gateway.metrics();
      return { page, afterMs: performance.now() - begun };
    });
    const replies = Array.from({ length: 50 }, () => gateway.ask('m'));
    const pages = await Promise.all(scrapes);
    for (const { page } of pages) assert.match(page, /^roundhouse_model_in_flight\{model="m"\}/mu);
    assert.deepEqual(new Set((await Promise.all(replies)).map(({ status }) => status)), new Set([200]));
    const made = new Set(pages.map(({ page }) => page)).size;
    assert.ok(made < 50, `${made} pages were made for 100 scrapes`);
    t.diagnostic(`100 scrapes at once: the last after ${Math.round(Math.max(...pages.map(({ afterMs }) => afterMs)))} ms`);
  });
  assert.equal((await gateway.get('/metrics')).status, 404);
});

row(
  156,
  async ({ t, start }) => {
    const empty = join(await tempDir(t), 'empty');
    await writeFile(empty, '');
    const prefix = withMounts(`mount --bind ${empty} /etc/hosts && mount --bind ${empty} /etc/resolv.conf`);
    const gateway = await start([model('m')], { prefix });
    assert.equal((await gateway.ask('m')).status, 200);
    const upstream = await gateway.model('m', 'ready', ({ replicas: [replica] }) => replica?.upstream);
    assert.match(upstream, /^http:\/\/127\.0\.0\.1:\d+$/u);
  },
  { skip: needsRoot },
);
