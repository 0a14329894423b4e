import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { gatewaySchema } from '../../src/config/schema.ts';
import { until } from '../support/until.ts';
import { isAlive } from '../supervisor/support/real.ts';
import { memoryCgroup, needsMemoryLimits } from './support/memory-cgroup.ts';
import { sumOf } from './support/oracles.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

/** Looks often, and waits a second where a minute is the rule. */
const watchful = { health_check_period_s: 0.2, health_check_timeout_s: 1 };
const hasty = { timeouts: { hang_s: 1 } };
const endless = { tokens: 10_000, tokens_per_s: 20 };
/** Loads long enough for somebody to look meanwhile. */
const unhasty = { ready_after_s: 2 };
const onSignal = (code: string): readonly string[] => ['--import', `data:text/javascript,process.on('SIGUSR2', () => { ${code} })`];

/** What its clients see of an engine that hangs, and what becomes of it. */
async function assertReplaced(gateway: Victim, family: readonly number[], cause: RegExp, freeze: () => Promise<void>): Promise<void> {
  const pid = await gateway.pidOf('m');
  const stream = await gateway.stream('m');
  await stream.until(/(data: \{"id"[^\n]*\n\n){3}/u);
  await freeze();
  assert.match(await stream.rest(), /data: \{"error":\{[^\n]*"code":"upstream_failed"\}\}\n\n$/u);
  await gateway.model('m', 'the status says why, until the next one serves', ({ replicas: [replica] }) =>
    cause.test(replica?.lastError?.message ?? ''),
  );
  await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  assert.deepEqual(family.filter(isAlive), [], 'no half of it is left');
  assert.match(gateway.output(), cause);
}

const hung = /hung: no byte for a request in flight in \d+ s, and it(s own counters stood still| answered nothing else either)/u;

row(4, async ({ start }) => {
  const gateway = await start([model('m', { ...endless, ...unhasty, fork: 2 }, watchful, hasty)]);
  const { workers } = await (await gateway.engine('m')).state();
  const [worker] = workers;
  assert.ok(worker !== undefined && workers.length === 2, 'the row needs workers');
  await assertReplaced(gateway, await gateway.engines(), hung, async () => void process.kill(worker, 'SIGKILL'));
});

row(5, async ({ start }) => {
  assert.equal(gatewaySchema.parse({}).timeouts.hang_s, 60);
  const gateway = await start([model('m', { ...endless, ...unhasty, fork: 1 }, watchful, hasty)]);
  const pid = await gateway.pidOf('m');
  await assertReplaced(gateway, await gateway.engines(), hung, async () => void process.kill(-pid, 'SIGSTOP'));
});

row(6, async ({ start }) => {
  const gateway = await start([model('m', { ...endless, ...unhasty, health: 'lie', fork: 1 }, watchful, hasty)]);
  const { workers } = await (await gateway.engine('m')).state();
  const [worker] = workers;
  assert.ok(worker !== undefined, 'the row needs a worker');
  const frozen = /its own counters stood still/u;
  await assertReplaced(gateway, await gateway.engines(), frozen, async () => void process.kill(worker, 'SIGSTOP'));
});

/** Who goes first when memory is short: −1000 to 1000. */
const badness = async (who: number): Promise<number> => Number(await readFile(`/proc/${who}/oom_score_adj`, 'utf8'));

/** Takes memory until it is ended. */
const hungry = `process.on('SIGUSR2', () => { const all = []; setInterval(() => all.push(Buffer.alloc(32e6, 1)), 1); })`;

row(
  8,
  async ({ t, start }) => {
    const group = await memoryCgroup(1_000_000_000);
    const command = [process.execPath, '--import', `data:text/javascript,${hungry}`];
    const gateway = await start([model('m', endless, {}, { command })], { prefix: group.prefix });
    t.after(() => group.remove());
    const pid = await gateway.pidOf('m');
    assert.ok((await badness(pid)) > (await badness(gateway.pid)), 'the engine goes first');
    const stream = await gateway.stream('m');
    await stream.until(/data: \{"id"/u);
    process.kill(pid, 'SIGUSR2');
    assert.match(await stream.rest(), /data: \{"error":\{[^\n]*"code":"upstream_failed"\}\}\n\n$/u);
    const { lastError } = await gateway.model('m', 'replaced', ({ replicas: [replica] }) => replica?.lastError !== undefined && replica);
    assert.equal(lastError?.code, 'oom_killed');
    assert.match(lastError.message, /killed by the kernel's out-of-memory killer/u);
    await until('replaced', async () => (await gateway.pidOf('m')) !== pid, patienceMs);
  },
  { skip: needsMemoryLimits },
);

row(20, async ({ start }) => {
  const gateway = await start([model('m', {}, { ...watchful, health_check_period_s: 0.5, num_replicas: 2 })]);
  const flapping = await gateway.engine('m', 1);
  // One miss at a time, by the engine's own count of probes: three in a row would end it, for nothing is asked of it.
  for (let flap = 1; flap <= 2; flap += 1) {
    const { probes: before } = await flapping.state();
    // A miss right after it has worked is excused.
    await until('probes have seen it rest', async () => (await flapping.state()).probes > before + 1, patienceMs);
    const { probes } = await flapping.control({ health: 'fail' });
    await until('a probe is missed', async () => (await flapping.state()).probes > probes, patienceMs);
    await flapping.control({ health: 'ok' });
    const counted = async (): Promise<boolean> => sumOf(await gateway.metrics(), 'roundhouse_replica_probe_flaps_total') >= flap;
    await until('the flap is counted', counted, patienceMs);
    for (let count = 0; count < 10; count += 1) assert.equal((await gateway.ask('m')).status, 200);
  }
  // Three misses in a row while it is idle: it is ended.
  const failing = await gateway.engine('m', 1);
  await failing.control({ health: 'fail' });
  await gateway.model('m', 'out of rotation', ({ replicas }) => replicas[1]?.pid !== failing.pid || replicas[1].state !== 'ready');
  const replies = await Promise.all(Array.from({ length: 20 }, () => gateway.ask('m')));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  assert.notEqual(await gateway.pidOf('m', 1), failing.pid);
  const restarts = await gateway.model('m', 'settled', ({ replicas }) => replicas.map((replica) => replica.restarts));
  assert.equal(restarts[0], 0, 'the steady one is let alone');
  assert.ok((restarts[1] ?? 0) <= 2, 'one restart, or one more while it flapped');
});

row(21, async ({ start }) => {
  // The prefill takes longer than a hang, and a hang longer than a crowded machine may keep the engine from running.
  const unhurried = { timeouts: { hang_s: 4 } };
  const gateway = await start([model('m', { prefill_s: 9 }, watchful, unhurried)]);
  const engine = await gateway.engine('m');
  await engine.control({ health: 'slow:20000' });
  assert.equal((await gateway.ask('m')).status, 200);
  await engine.control({ health: 'ok' });
  assert.equal(await gateway.pidOf('m'), engine.pid);
  await gateway.model('m', 'not restarted', ({ replicas: [replica] }) => replica?.restarts === 0);
});

row(42, async ({ start }) => {
  const block = `const end = performance.now() + 4000; while (performance.now() < end); console.log('awake')`;
  const gateway = await start([model('m', { prefill_s: 6 }, watchful, hasty), model('quick')], { nodeArgs: onSignal(block) });
  const pid = await gateway.pidOf('m');
  const slow = gateway.ask('m');
  const engine = await gateway.engine('m');
  await until('it is in the prefill', async () => (await engine.state()).running === 1, patienceMs);
  gateway.signal('SIGUSR2');
  assert.equal((await gateway.ask('quick')).status, 200);
  assert.doesNotMatch(gateway.output(), /awake/u, 'requests do not wait for the control plane');
  await gateway.printed(/awake/u);
  assert.equal((await slow).status, 200);
  assert.equal(await gateway.pidOf('m'), pid);
  const stoodStill = /^roundhouse_event_loop_lag_seconds\{(?=[^}]*plane="control")(?=[^}]*quantile="1")[^}]*\} ([\d.]+)$/mu;
  assert.ok(Number(stoodStill.exec(await gateway.metrics())?.[1]) >= 3.5, 'the metrics show it');
  await gateway.logged(/the control plane stood still for \d/u);
  await gateway.model('m', 'not restarted', ({ replicas: [replica] }) => replica?.restarts === 0);
});
