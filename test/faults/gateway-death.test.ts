import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { killIfThere, runGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { isAlive } from '../supervisor/support/real.ts';
import { copiedBuild } from './support/build.ts';
import { memoryCgroup, needsMemoryLimits } from './support/memory-cgroup.ts';
import { model, patienceMs, row } from './support/row.ts';
import type { Scene, Victim } from './support/row.ts';
import { strangerProcess } from '../support/processes.ts';

const onSignal = (code: string): readonly string[] => ['--import', `data:text/javascript,process.on('SIGUSR2', () => { ${code} })`];

/** A gateway that is no more, and its engines. */
async function orphaned({ t, start }: Scene, models: readonly object[]): Promise<{ stateDir: string; pids: readonly number[] }> {
  const stateDir = join(await tempDir(t), 'state');
  const gateway = await start(models, { stateDir });
  const pids = await gateway.engines();
  await kill(gateway);
  assert.ok(pids.length > 0 && pids.every(isAlive), 'engines outlive it');
  return { stateDir, pids };
}

async function kill(gateway: Victim): Promise<void> {
  gateway.signal('SIGKILL');
  await gateway.exited;
}

/** What every version writes. */
type WrittenLease = Readonly<Record<string, unknown>> & { readonly version: number; readonly process: { readonly pid: number } };

/** Changes the leases that a gateway left. */
async function rewriteLeases(stateDir: string, change: (lease: WrittenLease) => object): Promise<void> {
  const dir = join(stateDir, 'leases');
  for (const name of await readdir(dir)) {
    const file = join(dir, name);
    await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')) as WrittenLease)));
  }
}

row(30, async (scene) => {
  const same = model('same', { fork: 1 });
  const { stateDir, pids } = await orphaned(scene, [same, model('changed'), model('gone')]);
  const next = await scene.start([same, model('changed', { seed: 1 })], { stateDir });
  assert.ok(pids.includes(await next.pidOf('same')), 'taken over, the same process');
  assert.ok(!pids.includes(await next.pidOf('changed')), 'what it would start otherwise is ended');
  assert.equal((await next.engines()).length, 3);
  assert.equal((await next.ask('same')).status, 200);
});

row(31, async (scene) => {
  const { stateDir, pids } = await orphaned(scene, [model('m')]);
  const stranger = await strangerProcess(scene.t);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await rewriteLeases(stateDir, (lease) => ({ ...lease, process: { ...lease.process, pid: stranger } }));
  const next = await scene.start([model('m')], { stateDir });
  assert.ok(isAlive(stranger));
  assert.notEqual(await next.pidOf('m'), stranger);
});

row(
  32,
  async ({ t, start }) => {
    const group = await memoryCgroup(4_000_000_000);
    const gateway = await start([model('m', { fork: 1, daemonise: true })], { prefix: group.prefix });
    t.after(() => group.remove());
    const family = await gateway.engines();
    assert.equal(family.length, 3, 'the row needs a worker and a daemon');
    await kill(gateway);
    assert.ok(family.every(isAlive), 'the row needs engines that outlive the gateway');
    for (const pid of await group.members()) killIfThere(pid);
    await until('the group is empty', async () => (await group.members()).length === 0, patienceMs);
    assert.deepEqual(family.filter(isAlive), []);
  },
  { skip: needsMemoryLimits },
);

row(33, async ({ start }) => {
  const gateway = await start([model('m')]);
  const pid = await gateway.pidOf('m');
  const { code, stderr } = await runGateway(['start', '-c', gateway.configFile]);
  assert.equal(code, 3);
  assert.match(stderr, new RegExp(`pid ${gateway.pid} runs on the state directory ${gateway.stateDir}`, 'u'));
  assert.equal(await gateway.pidOf('m'), pid);
  assert.equal((await gateway.ask('m')).status, 200);
});

row(34, async (scene) => {
  const { stateDir } = await orphaned(scene, [model('m')]);
  assert.ok((await readdir(stateDir)).includes('owner.lock'), 'the lock file is still there');
  const next = await scene.start([model('m')], { stateDir });
  assert.equal((await next.ask('m')).status, 200);
});

row(39, async ({ start, excuse }) => {
  excuse(/an error escaped; engines are killed/u);
  for (const code of [`setImmediate(() => { throw new Error('injected') })`, `void Promise.reject(new Error('injected'))`]) {
    const gateway = await start([model('m', { fork: 1, daemonise: true, ignore_sigterm: true })], { nodeArgs: onSignal(code) });
    gateway.signal('SIGUSR2');
    assert.deepEqual(await gateway.exited, { code: 1, signal: null });
    assert.match(gateway.log(), /"level":60[^\n]*injected/u);
  }
});

row(40, async (scene) => {
  const { t, start } = scene;
  const stateDir = join(await tempDir(t), 'state');
  const nodeArgs = ['--max-old-space-size=96', ...onSignal(`const all = []; for (;;) all.push(new Array(1e5).fill({}))`)];
  const gateway = await start([model('m')], { stateDir, nodeArgs });
  const pid = await gateway.pidOf('m');
  gateway.signal('SIGUSR2');
  assert.notEqual((await gateway.exited).code, 0);
  assert.match(gateway.log(), /JavaScript heap out of memory/u);
  const next = await start([model('m')], { stateDir });
  assert.equal(await next.pidOf('m'), pid);
  assert.equal((await next.ask('m')).status, 200);
});

/** Versions of the program, one after another in the same place, on one state directory. */
async function upgrades({ t, start }: Scene): Promise<void> {
  const build = await copiedBuild(t);
  const stateDir = join(await tempDir(t), 'state');
  const options = { stateDir, main: build.main };
  const first = await start([model('m', { fork: 1 })], options);
  const [pid, family] = [await first.pidOf('m'), await first.engines()];
  await kill(first);
  await build.edit('package.json', /"version": "[^"]+"/u, '"version": "99.0.0"');
  await rewriteLeases(stateDir, (lease) => ({ ...lease, later: 'says more than this version knows of' }));
  const same = await start([model('m', { fork: 1 })], options);
  assert.equal(await same.pidOf('m'), pid, 'it would start the engine just so');
  await kill(same);
  // One that would start it otherwise, by the same config: this time is an argument of the engine.
  await build.edit('src/plugins/fake/index.ts', 'graceMs: 5000', 'graceMs: 7000');
  const other = await start([model('m', { fork: 1 })], options);
  const successor = await other.pidOf('m');
  assert.deepEqual(family.filter(isAlive), [], 'what runs is not what it would start');
  const args = (await readFile(`/proc/${successor}/cmdline`, 'utf8')).split('\0');
  assert.equal(args[args.indexOf('--stop-grace-s') + 1], '7');
  assert.equal((await other.ask('m')).status, 200);
}

row(158, async (scene) => {
  await upgrades(scene);
  // From an earlier version: what its leases do not say yet has a default, and what other files say to no later version is forgotten.
  const earlier = await orphaned(scene, [model('m', { fork: 1 })]);
  await rewriteLeases(
    earlier.stateDir,
    ({ version, id, model: name, index, engine, fingerprint, port, apiKey, logFile, gpus, process }) => {
      return { version, id, model: name, index, engine, fingerprint, port, apiKey, logFile, gpus, process };
    },
  );
  for (const file of ['start-times.json', 'replicas.json'])
    await writeFile(join(earlier.stateDir, file), JSON.stringify({ version: 0, whatever: 'an earlier version wrote' }));
  const upgraded = await scene.start([model('m', { fork: 1 })], { stateDir: earlier.stateDir });
  assert.ok(earlier.pids.includes(await upgraded.pidOf('m')), 'taken over');
  assert.equal((await upgraded.ask('m')).status, 200);
  await kill(upgraded);
  // From a later one: nothing is known of what its leases say but whose they are.
  const { stateDir } = earlier;
  await rewriteLeases(stateDir, (lease) => ({ version: lease.version + 1, whatever: 'a later version writes' }));
  const next = await scene.start([model('m', { fork: 1 })], { stateDir });
  assert.ok(!earlier.pids.includes(await next.pidOf('m')));
  assert.deepEqual(earlier.pids.filter(isAlive), [], 'ended by their marker');
  assert.equal((await next.ask('m')).status, 200);
});
