import assert from 'node:assert/strict';
import { fakeNvidiaSmi } from '../support/fake-nvidia-smi.ts';
import { until } from '../support/until.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

interface Scaling {
  readonly target: number;
  readonly running: number;
  readonly changes: Readonly<Record<string, number>>;
}

async function scalingOf(gateway: Victim, name: string): Promise<Scaling> {
  const reply = (await (await fetch(`${gateway.adminUrl}/api/autoscale`)).json()) as { models: (Scaling & { model: string })[] };
  return reply.models.find((each) => each.model === name) ?? assert.fail(`${name} is not scaled`);
}

const onDemand = (id: string, gpus: number): object => model(id, {}, {}, { gpus, idle: { stop_s: 600 } });
const scaled = (keys: object): object => ({
  autoscaling_config: { min_replicas: 1, upscale_delay_s: 0, look_back_period_s: 0.5, ...keys },
});

row(48, async ({ start }) => {
  const work = { tokens: 6, tokens_per_s: 20, max_num_seqs: 4 };
  const gateway = await start([model('m', work, scaled({ max_replicas: 3, target_ongoing_requests: 3, downscale_delay_s: 30 }))]);
  for (let wave = 0; wave < 5; wave += 1) {
    const high = await Promise.all(Array.from({ length: 12 }, () => gateway.ask('m')));
    assert.deepEqual([...new Set(high.map(({ status }) => status))], [200]);
    for (let low = 0; low < 3; low += 1) assert.equal((await gateway.ask('m')).status, 200);
  }
  const { target, changes } = await scalingOf(gateway, 'm');
  assert.ok(target > 1, 'it grew');
  assert.deepEqual(Object.keys(changes), ['up'], 'and did not shrink between the waves');
  assert.ok((changes['up'] ?? 0) <= 2, `${changes['up']} steps up to 3 replicas`);
});

row(49, async ({ start }) => {
  const endless = { tokens: 10_000, tokens_per_s: 20, max_num_seqs: 10 };
  const gateway = await start([model('m', endless, scaled({ max_replicas: 2, target_ongoing_requests: 2, downscale_delay_s: 0 }))]);
  const streams = async (count: number): Promise<Awaited<ReturnType<Victim['stream']>>[]> => {
    const all = await Promise.all(Array.from({ length: count }, () => gateway.stream('m')));
    await Promise.all(all.map((stream) => stream.until(/data: \{"id"/u)));
    return all;
  };
  const first = await streams(4);
  await gateway.model('m', 'two serve', ({ replicas }) => replicas.length === 2 && replicas.every(({ state }) => state === 'ready'));
  const pid = await gateway.pidOf('m', 1);
  const onSecond = await streams(2);
  // One stays on each: of equals the newest replica goes.
  for (const stream of [...first.slice(1), ...onSecond.slice(1)]) stream.leave();
  await gateway.model('m', 'the second one drains', ({ replicas }) => replicas[1]?.state === 'draining');
  const again = await streams(4);
  await gateway.model('m', 'it is taken back', ({ replicas }) => replicas[1]?.state === 'ready' && replicas[1].restarts === 0);
  assert.equal(await gateway.pidOf('m', 1), pid);
  for (const stream of [...first.slice(0, 1), ...onSecond.slice(0, 1), ...again]) stream.leave();
});

row(64, async ({ t, start }) => {
  const { env } = fakeNvidiaSmi(t, 2);
  const gateway = await start([model('other'), onDemand('a', 1), onDemand('b', 1), onDemand('big', 2)], { env });
  for (const name of ['a', 'b']) assert.equal((await gateway.ask(name)).status, 200);
  assert.equal((await gateway.engines()).length, 3);
  const asked = gateway.ask('big');
  const held = /waiting for 2 GPUs: 0 held by a-0, 1 held by b-0/u;
  await gateway.model('big', 'waits for both', ({ replicas: [replica] }) => replica?.state === 'pending' && held.test(replica.phase));
  assert.equal((await asked).status, 200);
  await until('only it runs', async () => (await gateway.engines()).length === 2, patienceMs);
  assert.equal((await scalingOf(gateway, 'a')).changes['yielded'], 1);
  assert.equal((await scalingOf(gateway, 'b')).changes['yielded'], 1);
});
