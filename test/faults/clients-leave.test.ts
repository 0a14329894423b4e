import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startFake } from '../support/fake-engine.ts';
import { tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { probed } from './support/memory.ts';
import { sumOf } from './support/oracles.ts';
import type { RemoteEngine } from './support/remote-engine.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

const times = 20;
const endless = { tokens: 10_000, tokens_per_s: 20 };

interface Visit {
  readonly leave: () => void;
  readonly isFelt: () => Promise<boolean>;
}

/** Leaves `times` over, one after another, and prints how long it took to be felt. */
async function timeLeaving(t: TestContext, what: string, enter: () => Promise<Visit>): Promise<void> {
  const tookMs: number[] = [];
  for (let count = 0; count < times; count += 1) {
    const { leave, isFelt } = await enter();
    const left = performance.now();
    leave();
    await until(`${what}: it is felt`, isFelt, patienceMs);
    tookMs.push(performance.now() - left);
  }
  const sorted = tookMs.toSorted((a, b) => a - b).map(Math.round);
  const soon = sorted.filter((ms) => ms <= 100).length;
  t.diagnostic(
    `${what}: felt ${times} of ${times} times, ${soon} of them within 100 ms, median ${sorted[times / 2]} ms, longest ${sorted.at(-1)} ms`,
  );
}

/** The engine feels it: it works on nothing afterwards. */
async function assertFelt(t: TestContext, what: string, engine: RemoteEngine, enter: () => Promise<() => void>): Promise<void> {
  await timeLeaving(t, what, async () => {
    const leave = await enter();
    const { aborted } = await engine.state();
    return { leave, isFelt: async () => (await engine.state()).aborted > aborted };
  });
  const { running, waiting, open } = await engine.state();
  assert.deepEqual({ running, waiting, open }, { running: 0, waiting: 0, open: 0 });
}

/** Each was counted as one that left, and nothing was blamed on the engine or tried again. */
async function assertCounted(gateway: Victim, left: number): Promise<void> {
  const counted = async (): Promise<number> => sumOf(await gateway.metrics(), 'roundhouse_requests_total', 'outcome="client_closed"');
  await until('all are counted', async () => (await counted()) >= left, patienceMs);
  assert.equal(await counted(), left);
  assert.equal(sumOf(await gateway.metrics(), 'roundhouse_retries_total'), 0);
  await gateway.model('m', 'not restarted', ({ replicas: [replica] }) => replica?.restarts === 0);
}

row(67, async ({ t, start, flat }) => {
  const gateway = await start([model('m', endless)], probed);
  const engine = await gateway.engine('m');
  const enter = async (): Promise<() => void> => {
    const stream = await gateway.stream('m');
    await stream.until(/(data: \{"id"[^\n]*\n\n){3}/u);
    return () => stream.leave();
  };
  await flat(gateway, () => assertFelt(t, 'in the middle of a stream', engine, enter));
  await assertCounted(gateway, 2 * times);
});

row(68, async ({ t, start }) => {
  const gateway = await start([model('m', { ...endless, prefill_s: 3600 })]);
  const engine = await gateway.engine('m');
  const enter = async (more: object): Promise<() => void> => {
    const leave = gateway.begin('m', more);
    await until('the engine has it', async () => (await engine.state()).running === 1, patienceMs);
    return leave;
  };
  await assertFelt(t, 'before the first event of a stream', engine, () => enter({ stream: true }));
  await assertFelt(t, 'in the prefill of a whole reply', engine, () => enter({}));
  await engine.control({ prefill_s: 0 });
  await assertFelt(t, 'while a whole reply is made', engine, () => enter({}));
  await assertCounted(gateway, 3 * times);
});

row(69, async ({ t, start }) => {
  // An engine that goes on when a connection closes, and has a route that ends a generation.
  const fake = await startFake({ dialect: 'sglang', ...endless, keep_alive_ms: 500 }, t);
  const keyFile = join(await tempDir(t), 'key');
  await writeFile(keyFile, fake.apiKey);
  const upstreams = [{ url: fake.url, key_file: keyFile }];
  const gateway = await start([{ model_loading_config: { model_id: fake.servedName }, llm_engine: 'sglang', gateway: { upstreams } }]);
  for (const stream of [true, false]) {
    const { aborted } = await fake.state();
    const leave = gateway.begin(fake.servedName, { stream });
    await until('the engine has it', async () => (await fake.state()).running === 1, patienceMs);
    leave();
    await until('the engine was told to stop', async () => (await fake.state()).aborted > aborted, patienceMs);
    assert.equal((await fake.state()).running, 0);
  }
  const abandoned = async (): Promise<number> => sumOf(await gateway.metrics(), 'roundhouse_abandoned_generations_total', 'abort="asked"');
  await until('both are counted', async () => (await abandoned()) === 2, patienceMs);
});

/** A request that no replica has taken: out of the waiting room, it is no demand any more. */
async function assertForgotten(t: TestContext, what: string, gateway: Victim, name: string): Promise<void> {
  const waiting = async (): Promise<number> => (await gateway.status()).find((model) => model.name === name)?.waiting ?? Number.NaN;
  const others = await waiting();
  await timeLeaving(t, what, async () => {
    const leave = gateway.begin(name);
    await until(`${what}: it waits`, async () => (await waiting()) === others + 1, patienceMs);
    return { leave, isFelt: async () => (await waiting()) === others };
  });
}

row(46, async ({ t, start }) => {
  const gateway = await start([model('m', { ...endless, max_num_seqs: 1 })]);
  const engine = await gateway.engine('m');
  const runs = await gateway.stream('m');
  await runs.until(/data: \{"id"/u);
  const leaves = Array.from({ length: 100 }, () => gateway.begin('m'));
  await gateway.model('m', 'all wait', ({ waiting }) => waiting === leaves.length);
  const [stays, ...goes] = leaves;
  for (const leave of goes) leave();
  await gateway.model('m', 'only one waits', ({ waiting }) => waiting === 1);
  runs.leave();
  await until('its turn has come', async () => (await engine.state()).requests === 2, patienceMs);
  stays?.();
  await gateway.model('m', 'all have left', ({ waiting, replicas: [replica] }) => waiting === 0 && replica?.inFlight === 0);
  const blocks = await gateway.stream('m');
  await blocks.until(/data: \{"id"/u);
  await assertForgotten(t, 'while it waits for a place', gateway, 'm');
  blocks.leave();
  await gateway.writeConfig([model('m', { ...endless, max_num_seqs: 1 }), model('cold', { ready_after_s: 3600 })]);
  assert.equal((await gateway.reload()).status, 200);
  await gateway.model('cold', 'loads', ({ replicas: [replica] }) => replica?.phase === 'warming up');
  await assertForgotten(t, 'while its model loads', gateway, 'cold');
  assert.equal((await engine.state()).requests, 3, 'the engine never saw the others');
  await assertCounted(gateway, 102 + 2 * times);
});
