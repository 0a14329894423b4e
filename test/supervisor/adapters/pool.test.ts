import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fleetLoads } from '../../../bench/adapters/fleet-loads.ts';
import { GatewayError } from '../../../src/core/errors.ts';
import { adapterName } from '../../../src/core/ids.ts';
import { prefers } from '../../../src/supervisor/adapters/placement.ts';
import { AdapterFleet } from '../../support/adapter-fleet.ts';
import type { FleetOptions } from '../../support/adapter-fleet.ts';

/** A fleet whose source has `adapters`, all at revision 1. */
async function fleetOf(replicas: number, adapters: readonly string[], options: FleetOptions): Promise<AdapterFleet> {
  const fleet = new AdapterFleet(options);
  for (const adapter of adapters) fleet.revisions.set(adapter, 1);
  for (let index = 0; index < replicas; index += 1) fleet.start(index);
  await fleet.clock.advance(0);
  return fleet;
}

const boxes = (fleet: AdapterFleet): string[][] => [...fleet.members.values()].map(({ box }) => [...box.handles].sort());

describe('adapters of the replicas of a model', () => {
  test('a request loads its adapter on one replica, whoever else asks for it meanwhile', async () => {
    const fleet = await fleetOf(3, ['a'], { maxPerReplica: 2 });
    const answers = Promise.all(Array.from({ length: 20 }, () => fleet.request('a', 10)));
    await fleet.clock.advance(100);
    assert.deepEqual(new Set(await answers), new Set(['a.1']));
    assert.equal(boxes(fleet).flat().length, 1);
    assert.deepEqual(fleet.counts, { loaded: 1, failed: 0, evicted: 0, crowded: 0 });
    fleet.pool.close();
  });

  test('the least used goes, but never under a request; who waits for room gets it in turn', async () => {
    const fleet = await fleetOf(1, ['a', 'b', 'c', 'd'], { maxPerReplica: 2 });
    const long = [fleet.request('a', 5_000), fleet.request('b', 3_000)];
    await fleet.clock.advance(100);
    const waiting = [fleet.request('c', 10), fleet.request('d', 10)];
    await fleet.clock.advance(2_000);
    assert.deepEqual(boxes(fleet), [['a.1', 'b.1']]);
    assert.equal(fleet.counts.crowded, 2);
    assert.deepEqual(fleet.pool.waitingFor(), [
      { adapter: 'c', crowded: true },
      { adapter: 'd', crowded: true },
    ]);
    await fleet.clock.advance(3_000);
    assert.deepEqual(await Promise.all([...waiting, ...long]), ['c.1', 'd.1', 'a.1', 'b.1']);
    assert.deepEqual(fleet.pool.waitingFor(), []);
    fleet.pool.close();
  });

  test('one goes for each that is asked for, however often that is asked for while room is made', async () => {
    const fleet = await fleetOf(1, ['a', 'b', 'c'], { maxPerReplica: 2, unloadMs: 3_000 });
    void fleet.request('a', 10);
    void fleet.request('b', 10);
    await fleet.clock.advance(100);
    const asked = fleet.request('c', 10);
    for (const worker of [1, 2]) {
      fleet.pool.demand(worker, adapterName('c'), true);
      await fleet.clock.advance(1_000);
    }
    const [evicted, ...more] = fleet.said.filter((line) => line.includes('evicted'));
    assert.match(
      evicted ?? '',
      /"adapter":"[ab]","replica":0,"heat":1(?:\.0*)?,"for":"c","msg":"adapter is evicted: of those without requests it was used least/,
    );
    assert.deepEqual(more, []);
    assert.equal(fleet.counts.evicted, 1);
    await fleet.clock.advance(2_000);
    assert.equal(await asked, 'c.1');
    assert.equal(boxes(fleet).flat().length, 2);
    fleet.pool.close();
  });

  test('more adapters in constant use than there is room for take turns, and none waits for long', async () => {
    const names = ['a', 'b', 'c'];
    const fleet = await fleetOf(1, names, { maxPerReplica: 2 });
    const waits: number[] = [];
    const answers: Promise<string>[] = [];
    for (let at = 0; at < 600; at += 1) {
      for (const name of names) {
        const asked = fleet.clock.now();
        const answer = fleet.request(name, 300);
        answers.push(answer);
        void answer.then(() => waits.push(fleet.clock.now() - asked));
      }
      await fleet.clock.advance(100);
    }
    await fleet.clock.advance(30_000);
    const expected = answers.map((_, at) => `${names[at % 3]}.1`);
    assert.deepEqual(await Promise.all(answers), expected);
    assert.ok(Math.max(...waits) <= 8_000, `${Math.max(...waits)} ms`);
    assert.ok(fleet.counts.loaded <= 2 + 90_000 / 5_000, `${fleet.counts.loaded} loads in a minute and a half`);
    assert.ok(fleet.said.some((line) => line.includes('it had its turn')));
    fleet.pool.close();
  });

  test('what does not exist is refused to all who wait, and for a while to those who ask again without another look', async () => {
    const fleet = await fleetOf(1, [], { maxPerReplica: 2 });
    const first = [fleet.request('nope', 10), fleet.request('nope', 10)];
    await fleet.clock.advance(10);
    assert.deepEqual(await Promise.all(first), ['adapter_not_found', 'adapter_not_found']);
    fleet.revisions.set('nope', 1);
    const again = fleet.request('nope', 10);
    await fleet.clock.advance(10);
    assert.equal(await again, 'adapter_not_found');
    await fleet.clock.advance(10_000);
    const later = fleet.request('nope', 10);
    await fleet.clock.advance(100);
    assert.equal(await later, 'nope.1');
    fleet.pool.close();
  });

  test('a load that one replica fails at is tried once elsewhere; what the engine refuses is not', async () => {
    const fleet = await fleetOf(2, ['a', 'b', 'c'], { maxPerReplica: 4 });
    const fail = (code: 'adapter_unavailable' | 'adapter_invalid', replicas: number): void => {
      for (const { box } of [...fleet.members.values()].slice(0, replicas)) box.failures.push(new GatewayError(code, 'no'));
    };
    fail('adapter_unavailable', 2);
    const nowhere = fleet.request('a', 10);
    await fleet.clock.advance(200);
    assert.equal(await nowhere, 'adapter_unavailable');
    assert.equal(fleet.counts.failed, 2);
    fail('adapter_invalid', 2);
    const refused = fleet.request('b', 10);
    await fleet.clock.advance(200);
    assert.equal(await refused, 'adapter_invalid');
    assert.equal(fleet.counts.failed, 3);
    // One replica has a failure left: whichever is asked, the adapter comes.
    for (const { box } of fleet.members.values()) {
      box.failures.length = 0;
      box.failures.push(new GatewayError('adapter_unavailable', 'no'));
      break;
    }
    const elsewhere = fleet.request('c', 10);
    await fleet.clock.advance(200);
    assert.equal(await elsewhere, 'c.1');
    fleet.pool.close();
  });

  test('new weights are loaded beside the old, which go when their requests have ended', async () => {
    const fleet = await fleetOf(2, ['a'], { maxPerReplica: 2 });
    const old = fleet.request('a', 5_000);
    await fleet.clock.advance(100);
    fleet.revisions.set('a', 2);
    await Promise.all([fleet.pool.refresh(), fleet.clock.advance(100)]);
    const fresh = fleet.request('a', 10);
    await fleet.clock.advance(50);
    assert.equal(await fresh, 'a.2');
    assert.deepEqual(boxes(fleet).flat().sort(), ['a.1', 'a.2']);
    await fleet.clock.advance(6_000);
    assert.equal(await old, 'a.1');
    assert.deepEqual(boxes(fleet).flat(), ['a.2']);
    fleet.pool.close();
  });

  test('a new run has the adapters of its range before it serves; what an engine has kept is taken over, and the unknown put away', async () => {
    const names = Array.from({ length: 12 }, (_, at) => `adapter-${at}`);
    const fleet = await fleetOf(2, names, { maxPerReplica: 16 });
    for (const name of names) void fleet.request(name, 10);
    await fleet.clock.advance(2_000);
    const before = boxes(fleet);
    const box = [...fleet.members.values()][0]?.box;
    assert.ok(box !== undefined && before[0] !== undefined && before[0].length > 0);
    fleet.stop('run-0');
    fleet.start(0, 'run-0b');
    assert.equal(fleet.pool.admits('run-0b'), false);
    await fleet.clock.advance(2_000);
    assert.equal(fleet.pool.admits('run-0b'), true);
    assert.deepEqual(new Set(boxes(fleet)[1]), new Set(before[0]), 'its range');
    fleet.stop('run-0b');
    box.handles.add('nobody.7');
    fleet.start(0, 'run-0c', box);
    await fleet.clock.advance(2_000);
    assert.deepEqual([...box.handles].sort(), before[0]);
    assert.equal(box.loads.length, before[0].length, 'nothing was loaded again');
    fleet.pool.close();
  });

  test('a hot adapter gets copies as its load needs, and loses them when it cools', async () => {
    const fleet = await fleetOf(4, ['hot', ...Array.from({ length: 8 }, (_, at) => `cold-${at}`)], { maxPerReplica: 8 });
    const copies = (): number => boxes(fleet).filter((handles) => handles.includes('hot.1')).length;
    for (let at = 0; at < 200; at += 1) {
      void fleet.request(at % 5 === 0 ? `cold-${at % 8}` : 'hot', 500);
      await fleet.clock.advance(50);
    }
    assert.equal(copies(), 4);
    for (let at = 0; at < 3_000; at += 1) {
      void fleet.request(`cold-${at % 8}`, 500);
      await fleet.clock.advance(600);
    }
    assert.equal(copies(), 1);
    fleet.pool.close();
  });

  test('adapters move from a replica that has all the load, each by one load, and then stay', async () => {
    const all = [0, 1, 2, 3];
    const crowd = Array.from({ length: 100 }, (_, at) => `adapter-${at}`)
      .filter((name) => prefers(adapterName(name), 0, all))
      .slice(0, 8);
    assert.equal(crowd.length, 8);
    const fleet = await fleetOf(all.length, crowd, { maxPerReplica: 8 });
    const serve = async (requests: number): Promise<readonly number[]> => {
      const before = [...fleet.members.values()].map(({ served }) => served);
      for (let at = 0; at < requests; at += 1) {
        void fleet.request(crowd[at % crowd.length] ?? '', 50);
        if (at >= crowd.length) await fleet.clock.advance(20);
      }
      return [...fleet.members.values()].map(({ served }, at) => served - (before[at] ?? 0));
    };
    assert.deepEqual(await serve(200), [200, 0, 0, 0], 'those that come at once are all where they belong');
    await serve(1_000);
    assert.deepEqual(await serve(800), [200, 200, 200, 200]);
    assert.equal(fleet.counts.loaded, crowd.length + 6);
    fleet.pool.close();
  });

  test('a replica that is added takes its part by few loads', async () => {
    const names = Array.from({ length: 24 }, (_, at) => `adapter-${at}`);
    const range = names.filter((name) => prefers(adapterName(name), 3, [0, 1, 2, 3]));
    const fleet = await fleetOf(3, names, { maxPerReplica: 24 });
    const serve = async (requests: number, everyMs: number): Promise<void> => {
      for (let at = 0; at < requests; at += 1) {
        void fleet.request(names[at % names.length] ?? '', 10);
        await fleet.clock.advance(everyMs);
      }
    };
    await serve(600, 20);
    const before = fleet.counts.loaded;
    fleet.start(3);
    await serve(240, 400);
    const loads = fleet.counts.loaded - before;
    assert.ok(loads >= range.length && loads <= range.length + 4, `${loads} loads for a range of ${range.length}`);
    const served = fleet.members.get('run-3')?.served ?? 0;
    await serve(240, 20);
    const part = ((fleet.members.get('run-3')?.served ?? 0) - served) / 240;
    assert.ok(part >= 0.2 && part <= 0.3, `a part of ${part}`);
    fleet.pool.close();
  });

  test('an operator loads and unloads without a request', async () => {
    const fleet = await fleetOf(2, ['a'], { maxPerReplica: 2 });
    await Promise.all([fleet.pool.load(adapterName('a')), fleet.clock.advance(100)]);
    assert.deepEqual(boxes(fleet).flat(), ['a.1']);
    assert.equal(fleet.pool.unload(adapterName('a')), 1);
    await fleet.clock.advance(10);
    assert.deepEqual(boxes(fleet).flat(), []);
    await assert.rejects(fleet.pool.load(adapterName('b')), { code: 'adapter_not_found' });
    fleet.pool.close();
  });

  test('an operator gets room for an adapter where one is not in use, and is told where all are', async () => {
    const fleet = await fleetOf(1, ['a', 'b'], { maxPerReplica: 1, unloadMs: 50 });
    const old = fleet.request('a', 1_000);
    await fleet.clock.advance(100);
    await assert.rejects(fleet.pool.load(adapterName('b')), { code: 'adapter_unavailable' });
    await fleet.clock.advance(1_000);
    assert.equal(await old, 'a.1');
    await Promise.all([fleet.pool.load(adapterName('b')), fleet.clock.advance(200)]);
    assert.deepEqual(boxes(fleet).flat(), ['b.1']);
    fleet.pool.close();
  });
});

test('200 adapters on 4 replicas of 16, a Zipf trace of 20 000 requests: few loads, even load, nobody lost', async (t) => {
  const { loads, spread, wrong, twoChoices, clairvoyant } = await fleetLoads({ seed: 20, requests: 20_000, adapters: 200 });
  t.diagnostic(`loads ${loads}, two choices then load ${twoChoices}, clairvoyant ${clairvoyant}, spread ${spread.toFixed(2)}`);
  assert.equal(wrong, 0);
  assert.ok(loads <= twoChoices / 2, `${loads} loads, Ray's way ${twoChoices}`);
  assert.ok(loads <= 1.5 * clairvoyant, `${loads} loads, with foresight ${clairvoyant}`);
  assert.ok(spread <= 1.25, `max/mean ${spread}`);
});
