import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelName, replicaId } from '../../src/core/ids.ts';
import type { ModelConfig } from '../../src/config/config.ts';
import { Leases, newLease } from '../../src/supervisor/providers/lease.ts';
import type { Lease } from '../../src/supervisor/providers/lease.ts';
import { identify } from '../../src/supervisor/providers/process-identity.ts';
import { model } from './support/model.ts';
import { isAlive, marked, real } from './support/real.ts';
import { killIfThere } from '../support/gateway-process.ts';
import type { Real } from './support/real.ts';
import { remoteEngine } from '../faults/support/remote-engine.ts';
import { strangerProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

const script = fileURLToPath(new URL('./support/former-gateway.ts', import.meta.url));

interface Former {
  readonly stateDir: string;
  /** Of its engines. */
  readonly pids: readonly number[];
}

/** Engines of a gateway that is gone: killed, unless it is asked to leave. */
async function former(t: TestContext, models: readonly ModelConfig[], how: NodeJS.Signals = 'SIGKILL', until = 'ready'): Promise<Former> {
  const stateDir = await mkdtemp(join(tmpdir(), 'roundhouse-adoption-'));
  const gateway = spawn(process.execPath, [script, stateDir, JSON.stringify(models), until], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(gateway, 'exit');
  const ids: string[] = [];
  t.after(async () => {
    gateway.kill('SIGKILL');
    for (const id of ids) for (const pid of await marked(id)) killIfThere(pid);
    // The supervisor that took them over is stopped by a later hook, and may still write there that its engines have ended.
    await rm(stateDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  const [printed] = (await once(gateway.stdout, 'data')) as [Buffer];
  gateway.kill(how);
  assert.deepEqual(await exited, how === 'SIGKILL' ? [null, how] : [0, null]);
  ids.push(...new Leases(stateDir).read().map(({ id }) => id));
  const pids = JSON.parse(printed.toString()) as number[];
  assert.ok(pids.every(isAlive), 'the test needs living engines');
  return { stateDir, pids };
}

const recover = async ({ supervisor, provider }: Real, ...models: readonly ModelConfig[]): Promise<void> =>
  supervisor.recover({ models, apps: new Map(), engineCommands: new Map() }, provider);

const views = ({ table }: Real, name = 'demo') => table().models.get(modelName(name))?.replicas ?? [];
const pidsOf = ({ report }: Real, name = 'demo') => report(name)?.replicas.map(({ pid }) => pid);

test('kill -9 of the gateway: the next one takes the engines over, the same processes, at once', async (t) => {
  const demo = model({ replicas: 2, engineOptions: { fork: 1 } });
  const { stateDir, pids } = await former(t, [demo]);
  const next = await real(t, { stateDir });
  const begun = performance.now();
  await recover(next, demo);
  const replicas = await next.until(() => views(next).length === 2 && views(next));
  const took = performance.now() - begun;
  t.diagnostic(`two engines adopted and routable after ${took.toFixed(0)} ms`);
  assert.deepEqual(pidsOf(next), pids);
  for (const { upstream, apiKey } of replicas) {
    const response = await fetch(`${upstream}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
});

test('an adopted engine is stopped like any other, with its children, and its lease is gone with it', async (t) => {
  const demo = model({ engineOptions: { fork: 1, daemonise: true } });
  const { stateDir, pids } = await former(t, [demo]);
  const next = await real(t, { stateDir });
  await recover(next, demo);
  const { id = '' } = await next.until(() => next.replica()?.state === 'ready' && next.replica());
  assert.ok((await marked(id)).length >= 3, 'the test needs the children');
  await next.supervisor.stop(0, new AbortController().signal);
  assert.deepEqual(await marked(id), []);
  assert.deepEqual(pids.filter(isAlive), []);
  assert.deepEqual(await readdir(join(stateDir, 'leases')), []);
});

test('the end of an adopted engine is seen without a probe, and it is started again', async (t) => {
  const demo = model();
  const { stateDir, pids } = await former(t, [demo]);
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 1);
  const [pid = 0] = pids;
  const killed = performance.now();
  process.kill(pid, 'SIGKILL');
  await next.until(() => views(next).length === 0);
  t.diagnostic(`the exit of an adopted engine was known after ${(performance.now() - killed).toFixed(0)} ms`);
  assert.ok(performance.now() - killed < 5000, 'the next probe comes after 10 s');
  await next.until(() => views(next).length === 1);
  assert.notEqual(next.replica()?.pid, pid);
});

test('the log of an adopted engine goes on, and what it said before is known', async (t) => {
  const demo = model({ engineOptions: { log: ['said before'] } });
  const { stateDir } = await former(t, [demo]);
  const next = await real(t, { stateDir });
  const { adoptable } = await next.provider.recover();
  const [lease] = adoptable;
  assert.ok(lease);
  const heard = Promise.withResolvers<void>();
  const handle = await next.provider.adopt(lease, (line) => line === 'said later' && heard.resolve());
  assert.ok(handle);
  assert.ok(handle.tail().includes('said before'));
  await writeFile(lease.logFile, 'said later\n', { flag: 'a' });
  await heard.promise;
  await handle.stop(0);
});

test('a changed config: the old engine is ended before the new one starts', async (t) => {
  const { stateDir, pids } = await former(t, [model(), model({ name: 'other' })]);
  const next = await real(t, { stateDir });
  let overlapped = false;
  next.supervisor.subscribe(() => {
    if (next.replica()?.pid !== undefined && pids.some(isAlive)) overlapped = true;
  });
  await recover(next, model({ engineOptions: { seed: 1 } }));
  await next.until(() => views(next).length === 1);
  assert.equal(overlapped, false);
  assert.deepEqual(pids.filter(isAlive), [], 'of the changed model and of the one that is gone');
});

test('fewer replicas: those too many are ended, the others kept', async (t) => {
  const { stateDir, pids } = await former(t, [model({ replicas: 2 })]);
  const next = await real(t, { stateDir });
  await recover(next, model({ replicas: 1 }));
  await next.until(() => views(next).length === 1);
  await until('only one lease is left', async () => (await readdir(join(stateDir, 'leases'))).length === 1);
  assert.deepEqual(pids.filter(isAlive), [pids[0]]);
  assert.deepEqual(pidsOf(next), [pids[0]]);
});

test('an engine that was loading when the gateway was killed loads on', async (t) => {
  const demo = model({ engineOptions: { ready_after_s: 1 } });
  const { stateDir, pids } = await former(t, [demo], 'SIGKILL', 'warming up');
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 1);
  assert.deepEqual(pidsOf(next), pids);
});

test('a gateway that is asked to leaves its engines running, with their leases, and ends', async (t) => {
  const demo = model({ replicas: 2 });
  const { stateDir, pids } = await former(t, [demo], 'SIGTERM');
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 2);
  assert.deepEqual(pidsOf(next), pids);
});

test('children of an engine that died with the gateway are found by group and marker', async (t) => {
  const demo = model({ engineOptions: { fork: 1, daemonise: true } });
  const { stateDir, pids } = await former(t, [demo]);
  const [{ id } = { id: '' }] = new Leases(stateDir).read();
  process.kill(pids[0] ?? 0, 'SIGKILL');
  const orphans = (await marked(id)).filter((pid) => isAlive(pid) && pid !== pids[0]);
  assert.ok(orphans.length >= 2, 'the test needs orphans');
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 1);
  assert.deepEqual(orphans.filter(isAlive), []);
});

function forged(stateDir: string, identity: Lease['process']): Lease {
  const id = replicaId('demo-0-0badcafe');
  const logFile = join(stateDir, 'log');
  return {
    ...newLease({
      id,
      model: modelName('demo'),
      index: 0,
      engine: 'fake',
      fingerprint: 'x',
      port: 1,
      innerPorts: 0,
      apiKey: 'k',
      logFile,
      gpus: [],
      adapters: [],
    }),
    process: identity,
  };
}

const forgeries: readonly [what: string, (identity: NonNullable<Lease['process']>) => Lease['process']][] = [
  ['its pid, another start time', (identity) => ({ ...identity, startTime: identity.startTime - 1 })],
  ['its pid, of before a reboot', (identity) => ({ ...identity, bootId: 'another boot' })],
  ['its very identity, but no marker', (identity) => identity],
];
for (const [what, forge] of forgeries) {
  test(`a stranger is not touched: a lease with ${what}`, async (t) => {
    const pid = await strangerProcess(t);
    const identity = identify(pid);
    assert.ok(identity);
    const next = await real(t);
    const leases = new Leases(next.stateDir);
    leases.write(forged(next.stateDir, forge(identity)));
    await recover(next, model());
    await next.until(() => views(next).length === 1);
    assert.ok(isAlive(pid));
    assert.notEqual(next.replica()?.pid, pid);
    assert.ok(
      leases.read().every(({ id }) => id !== 'demo-0-0badcafe'),
      'the lease is forgotten',
    );
  });
}

test('a lease of another version: the engine is ended by its marker, others go their way', async (t) => {
  const demo = model({ replicas: 2 });
  const { stateDir, pids } = await former(t, [demo]);
  const leases = new Leases(stateDir);
  const [first] = leases.read();
  assert.ok(first?.kind === 'lease');
  await writeFile(join(stateDir, 'leases', `${first.id}.json`), JSON.stringify({ version: 2, id: first.id }));
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 2);
  assert.equal(isAlive(first.lease.process?.pid ?? 0), false);
  assert.ok(pidsOf(next)?.includes(pids.find((pid) => pid !== first.lease.process?.pid)));
});

test('a gateway killed between the lease and the start of the process, or before its pid was written', async (t) => {
  const demo = model();
  const { stateDir, pids } = await former(t, [demo]);
  const leases = new Leases(stateDir);
  const [found] = leases.read();
  assert.ok(found?.kind === 'lease');
  leases.write({ ...found.lease, process: undefined });
  leases.write({ ...forged(stateDir, undefined), index: 1 });
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 1);
  assert.deepEqual(pids.filter(isAlive), []);
  assert.equal(leases.read().length, 1);
});

test('leases hold keys: nobody else may read them', async (t) => {
  const { stateDir } = await former(t, [model({ env: { HF_TOKEN: 'hf_secret' } })]);
  const dir = join(stateDir, 'leases');
  assert.equal((await stat(dir)).mode & 0o777, 0o700);
  for (const name of await readdir(dir)) {
    assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
    assert.ok(!(await readFile(join(dir, name), 'utf8')).includes('hf_secret'));
  }
});

test('an engine that sleeps when its gateway is killed is woken by the next one before it gets requests', async (t) => {
  const demo = model({ traits: { sleeps: true } });
  const { stateDir, pids } = await former(t, [demo]);
  const [lease] = new Leases(stateDir).read();
  assert.ok(lease?.kind === 'lease');
  const upstream = `http://127.0.0.1:${lease.lease.port}`;
  const [pid = assert.fail('no engine')] = pids;
  const engine = await remoteEngine(pid, upstream);
  await engine.call('/sleep');
  assert.equal((await engine.state()).asleep, true);
  const next = await real(t, { stateDir });
  await recover(next, demo);
  await next.until(() => views(next).length === 1);
  assert.deepEqual(pidsOf(next), pids);
  assert.equal((await engine.state()).asleep, false);
});
