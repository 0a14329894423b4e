import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelName, replicaId } from '../../src/core/ids.ts';
import { chooseAdoptions } from '../../src/supervisor/adoption.ts';
import { newLease } from '../../src/supervisor/providers/lease.ts';
import type { Lease } from '../../src/supervisor/providers/lease.ts';
import type { Recovery } from '../../src/supervisor/providers/provider.ts';
import { settle } from '../support/manual-clock.ts';
import { MemoryProcess, simulate } from './support/memory.ts';
import { model } from './support/model.ts';

/** `model/index/fingerprint` */
function lease(text: string): Lease {
  const [name = '', index = '0', fingerprint = 'f'] = text.split('/');
  const id = replicaId(`${name}-${index}-00000000`);
  return newLease({
    id,
    model: modelName(name),
    index: Number(index),
    engine: 'fake',
    fingerprint,
    port: 1,
    innerPorts: 0,
    apiKey: 'k',
    logFile: '',
    gpus: [],
    adapters: [],
  });
}

const inWords = (leases: readonly Lease[]): string => leases.map((each) => `${each.model}/${each.index}/${each.fingerprint}`).join(' ');

const choices: readonly [what: string, leases: string, adopt: string, reap: string][] = [
  ['all that match', 'a/0/f a/1/f b/0/g', 'a/0/f b/0/g a/1/f', ''],
  ['indices need not begin at 0', 'a/3/f a/7/f', 'a/3/f a/7/f', ''],
  ['no more than are wanted, the lowest first', 'a/2/f a/1/f a/0/f', 'a/0/f a/1/f', 'a/2/f'],
  ['another fingerprint', 'a/0/old a/1/f', 'a/1/f', 'a/0/old'],
  ['a model that is not configured', 'c/0/f', '', 'c/0/f'],
  ['two of one index', 'a/0/f a/0/f', 'a/0/f', 'a/0/f'],
];
for (const [what, leases, adopt, reap] of choices) {
  test(`what is adopted: ${what}`, () => {
    const desired = [
      { name: modelName('a'), replicas: 2, fingerprint: 'f' },
      { name: modelName('b'), replicas: 1, fingerprint: 'g' },
    ];
    const chosen = chooseAdoptions(desired, leases.split(' ').map(lease));
    assert.deepEqual([inWords(chosen.adopt), inWords(chosen.reap)], [adopt, reap]);
  });
}

/** The fingerprint that a supervisor gives a model. */
async function fingerprintOf(demo: ReturnType<typeof model>): Promise<string> {
  const sim = simulate();
  sim.apply(demo);
  await settle();
  return sim.provider.processes[0]?.spec.fingerprint ?? '';
}

test('an adopted engine that does not answer is ended and replaced when what it had left of its start is over', async () => {
  const demo = model({ startupTimeoutMs: 60_000 });
  for (const [ageMs, waitMs] of [
    [3_600_000, 10_000],
    [20_000, 40_000],
  ] as const) {
    const sim = simulate();
    const found = { ...lease('demo/0'), fingerprint: await fingerprintOf(demo) };
    const recovery: Recovery = {
      recover: async () => ({ adoptable: [found], remains: [] }),
      adopt: async (_lease, watch) => {
        const spec = { id: found.id, model: demo } as ConstructorParameters<typeof MemoryProcess>[1];
        const old = Object.assign(new MemoryProcess(7, spec, watch), { adoptedAgeMs: ageMs, health: 503 });
        sim.provider.processes.push(old);
        return old;
      },
      reap: async () => undefined,
    };
    await sim.supervisor.recover({ models: [demo], apps: new Map(), engineCommands: new Map() }, recovery);
    await settle();
    await sim.clock.advance(waitMs - 1);
    assert.deepEqual(sim.states(), ['starting']);
    assert.equal(sim.provider.processes[0]?.alive, true);
    await sim.clock.advance(1);
    assert.equal(sim.provider.processes[0]?.alive, false);
    assert.match(sim.supervisor.status()[0]?.replicas[0]?.lastError?.message ?? '', /not ready within \d+ s \(GET \/health: 503\)/);
    await sim.clock.advance(2000);
    assert.deepEqual(sim.states(), ['ready']);
    assert.equal(sim.provider.alive.length, 1);
  }
});

test('adopted engines that still load hold up none that serves, however many they are', async () => {
  const sim = simulate();
  // More of them than may start at a time.
  const demo = model({ replicas: 9 });
  const fingerprint = await fingerprintOf(demo);
  const adoptable = Array.from({ length: 9 }, (_, index) => ({ ...lease(`demo/${index}`), fingerprint }));
  const recovery: Recovery = {
    recover: async () => ({ adoptable, remains: [] }),
    adopt: async ({ id, index }, watch) => {
      const spec = { id, model: demo } as ConstructorParameters<typeof MemoryProcess>[1];
      const former = Object.assign(new MemoryProcess(index, spec, watch), { adoptedAgeMs: 1000, health: index < 8 ? 503 : 200 });
      sim.provider.processes.push(former);
      return former;
    },
    reap: async () => undefined,
  };
  await sim.supervisor.recover({ models: [demo], apps: new Map(), engineCommands: new Map() }, recovery);
  await settle();
  assert.deepEqual(sim.states(), [...Array.from({ length: 8 }, () => 'starting'), 'ready']);
});

test('nothing is launched before what a former gateway left is gone', async () => {
  const sim = simulate();
  const gone = Promise.withResolvers<void>();
  const reaped: string[] = [];
  const recovery: Recovery = {
    recover: async () => ({ adoptable: [lease('other/0')], remains: [{ id: 'demo-0-11111111', pgid: undefined }] }),
    adopt: async () => undefined,
    reap: ({ id }) => {
      reaped.push(id);
      return gone.promise;
    },
  };
  await sim.supervisor.recover({ models: [model()], apps: new Map(), engineCommands: new Map() }, recovery);
  await sim.clock.advance(5000);
  assert.deepEqual(reaped, ['demo-0-11111111', 'other-0-00000000']);
  assert.equal(sim.provider.processes.length, 0);
  gone.resolve();
  await settle();
  await sim.clock.advance(1000);
  assert.deepEqual(sim.states(), ['ready']);
});

test('an announced model stands in the first table, and nothing else comes of it before the former gateway’s engines are known', async () => {
  const sim = simulate();
  const scaled = { min: 0, max: 2, initial: 0 } as NonNullable<ReturnType<typeof model>['autoscaling']>;
  const [demo, idle] = [model(), { ...model({ name: modelName('idle'), replicas: 0 }), autoscaling: scaled }];
  const config = { models: [demo, idle], apps: new Map([['', new Map([[demo.name, demo.name]])]]), engineCommands: new Map() };
  sim.supervisor.announce(config);
  assert.equal(sim.tables.length, 1);
  const entries = [...(sim.tables[0]?.models ?? [])].map(([name, { status, replicas }]) => ({ name, status, replicas }));
  assert.deepEqual(entries, [
    { name: 'demo', status: { phase: 'waiting to start' }, replicas: [] },
    { name: 'idle', status: { phase: 'asleep', asleep: true }, replicas: [] },
  ]);
  sim.supervisor.scale(idle.name, 1);
  sim.supervisor.restart(() => true);
  await sim.clock.advance(5000);
  assert.deepEqual([sim.supervisor.loads(), sim.provider.processes.length, sim.tables.length], [[], 0, 1]);
  const recovery: Recovery = {
    recover: async () => ({ adoptable: [], remains: [] }),
    adopt: async () => undefined,
    reap: async () => undefined,
  };
  await sim.supervisor.recover(config, recovery);
  await sim.clock.advance(1000);
  assert.deepEqual([sim.states(), sim.states('idle')], [['ready'], []]);
  const waiting = sim.tables.map(({ models }) => models.get(demo.name)?.waiting);
  assert.deepEqual(new Set(waiting), new Set([waiting[0]]), 'who waits is counted in one place');
});

test('a config that is applied while a former gateway’s engines are looked for takes effect after them', async () => {
  const sim = simulate();
  const [demo, other] = [model(), model({ name: modelName('other') })];
  const apps = new Map();
  const found = Promise.withResolvers<Awaited<ReturnType<Recovery['recover']>>>();
  const recovery: Recovery = { recover: () => found.promise, adopt: async () => undefined, reap: async () => undefined };
  sim.supervisor.announce({ models: [demo], apps, engineCommands: new Map() });
  const recovered = sim.supervisor.recover({ models: [demo], apps, engineCommands: new Map() }, recovery);
  sim.apply(other);
  await sim.clock.advance(1000);
  assert.equal(sim.provider.processes.length, 0);
  found.resolve({ adoptable: [], remains: [] });
  await recovered;
  await sim.clock.advance(2000);
  assert.deepEqual([sim.states(), sim.states('other')], [[], ['ready']]);
});
