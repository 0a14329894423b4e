import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { model, row, type Victim } from './support/row.ts';

const debug = { more: { debug_headers: true } };
const sticky = { routing: { policy: 'sticky' } };

/** Without what differs from run to run of one replica. */
const nameOf = (id: string): string => id.replace(/-[0-9a-f]{8}$/u, '');

/** The replica that answers each session. */
async function homes(gateway: Victim, sessions: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const user of sessions) {
    const { status, headers } = await gateway.ask('m', { user });
    assert.equal(status, 200);
    found.set(user, nameOf(String(headers['x-gateway-replica'])));
  }
  return found;
}

/** Requests that the engines of a model have seen, each. */
async function seenBy(gateway: Victim, name: string, replicas: number): Promise<readonly number[]> {
  return Promise.all(Array.from({ length: replicas }, async (_, index) => (await (await gateway.engine(name, index)).state()).requests));
}

row(55, async ({ t, start }) => {
  // Time enough to see where they go meanwhile.
  const gateway = await start([model('m', { ready_after_s: 2 }, { num_replicas: 5 }, sticky)], debug);
  const sessions = Array.from({ length: 100 }, (_, at) => `session ${at}`);
  const before = await homes(gateway, sessions);
  assert.deepEqual(await homes(gateway, sessions), before, 'each keeps its replica');
  process.kill(await gateway.pidOf('m', 2), 'SIGKILL');
  await gateway.model('m', 'it is gone', ({ replicas }) => replicas.find(({ index }) => index === 2)?.state !== 'ready');
  const others = sessions.filter((user) => before.get(user) !== 'm-2');
  const during = await homes(gateway, others);
  for (const user of others) assert.equal(during.get(user), before.get(user), `${user} stays where it was`);
  t.diagnostic(`${sessions.length - others.length} of ${sessions.length} sessions moved`);
  assert.ok(others.length > 60 && others.length < sessions.length);
  await gateway.pidOf('m', 2);
  assert.deepEqual(await homes(gateway, sessions), before, 'they come back with it');
});

row(56, async ({ t, start }) => {
  const endless = { tokens: 100_000, tokens_per_s: 2, max_num_seqs: 100 };
  const gateway = await start([model('m', endless, { num_replicas: 4 }, sticky)]);
  const leaves: (() => void)[] = [];
  for (let count = 0; count < 100; count += 1) {
    const stream = await gateway.stream('m', { user: count % 5 === 0 ? `session ${count}` : 'hot' });
    leaves.push(() => stream.leave());
  }
  const loads = await gateway.model('m', 'all run', ({ replicas }) => {
    const inFlight = replicas.map((replica) => replica.inFlight);
    return inFlight.reduce((a, b) => a + b) === 100 ? inFlight : undefined;
  });
  t.diagnostic(`in flight: ${loads.join(', ')}`);
  assert.ok(Math.max(...loads) <= Math.ceil(1.25 * 25), `${loads.join(', ')}: at most 1.25 × the mean`);
  for (const leave of leaves) leave();
});

/** How long a replica is new: only its real time can make it old. */
const slowStartMs = 10_000;

row(62, async ({ t, start }) => {
  const running = { tokens: 100_000, tokens_per_s: 1, max_num_seqs: 100 };
  const gateway = await start([model('m', running, { num_replicas: 2 })]);
  // Nobody is spared beside replicas that are as new.
  await setTimeout(slowStartMs + 500);
  await gateway.writeConfig([model('m', running, { num_replicas: 3 })]);
  assert.equal((await gateway.reload()).status, 200);
  await gateway.pidOf('m', 2);
  const streams = await Promise.all(Array.from({ length: 30 }, () => gateway.stream('m')));
  const [first = 0, second = 0, newcomer = 0] = await seenBy(gateway, 'm', 3);
  t.diagnostic(`of 30 requests: ${first}, ${second}, and ${newcomer} to the new one`);
  assert.equal(first + second + newcomer, 30);
  assert.ok(newcomer >= 1 && newcomer <= 6, `the new one got ${newcomer} of 30`);
  for (const stream of streams) stream.leave();
});

row(63, async ({ t, start }) => {
  const replicas = 4;
  const fast = { prefill_s: 0.1, max_num_seqs: 1 };
  const queue = { num_replicas: 1, max_queued_requests: 100 };
  const alone = Array.from({ length: replicas }, (_, at) => model(`r${at}`, fast, queue));
  const gateway = await start([model('m', fast, { ...queue, num_replicas: replicas }), ...alone]);
  await (await gateway.engine('m', 0)).control({ prefill_s: 0.4 });
  await (await gateway.engine('r0', 0)).control({ prefill_s: 0.4 });
  const slowestOf = async (nameAt: (request: number) => string): Promise<number> => {
    const begun = performance.now();
    const replies = await Promise.all(Array.from({ length: 40 }, (_, at) => gateway.ask(nameAt(at))));
    assert.ok(replies.every(({ status }) => status === 200));
    return performance.now() - begun;
  };
  const inTurns = await slowestOf((request) => `r${request % replicas}`);
  const least = await slowestOf(() => 'm');
  const seen = await seenBy(gateway, 'm', replicas);
  t.diagnostic(`the slowest of 40: in turns ${Math.round(inTurns)} ms, least in flight ${Math.round(least)} ms; seen ${seen.join(', ')}`);
  assert.ok((seen[0] ?? 40) <= 6, 'the slow one gets less than a quarter of 40');
  // The engines' own pauses alone make it 4 s against 1.3 s.
  assert.ok(least < 0.7 * inTurns, 'the slowest waits two thirds as long at most');
});
