import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../../src/core/errors.ts';
import { adapterName } from '../../../src/core/ids.ts';
import { randomFrom } from '../../../src/plugins/fake/engine/random.ts';
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
});

const adapters = Array.from({ length: 200 }, (_, at) => `adapter-${at}`);
/** Zipf(1.0): the second is asked for half as often as the first, the third a third as often, … */
function zipfTrace(seed: number, length: number): readonly number[] {
  const random = randomFrom(seed);
  const sums: number[] = [];
  for (const at of adapters.keys()) sums.push((sums[at - 1] ?? 0) + 1 / (at + 1));
  const total = sums.at(-1) ?? 0;
  return Array.from({ length }, () => {
    const drawn = random() * total;
    return sums.findIndex((sum) => sum >= drawn);
  });
}

/** Loads of one cache for all, that throws out what is needed last: nobody who does not know the future does better. */
function clairvoyant(trace: readonly number[], room: number): number {
  const next: number[] = [];
  const seen = new Map<number, number>();
  for (let at = trace.length - 1; at >= 0; at -= 1) {
    const adapter = trace[at] ?? 0;
    next[at] = seen.get(adapter) ?? Number.POSITIVE_INFINITY;
    seen.set(adapter, at);
  }
  const cache = new Map<number, number>();
  let loads = 0;
  for (const [at, adapter] of trace.entries()) {
    if (!cache.has(adapter)) {
      loads += 1;
      const last = [...cache].sort((a, b) => b[1] - a[1])[0];
      if (cache.size >= room && last !== undefined) cache.delete(last[0]);
    }
    cache.set(adapter, next[at] ?? Number.POSITIVE_INFINITY);
  }
  return loads;
}

const countOf = (value: number, among: readonly number[]): number => among.filter((other) => other === value).length;

/** Ray's way: the less loaded of two drawn replicas, then the adapter is loaded there; each replica throws out the least recently used. */
function twoChoicesThenLoad(trace: readonly number[], replicas: number, room: number, inFlight: number): number {
  const random = randomFrom(7);
  const caches = Array.from({ length: replicas }, () => new Set<number>());
  const recent: number[] = [];
  let loads = 0;
  for (const adapter of trace) {
    const [one, two] = [Math.floor(random() * replicas), Math.floor(random() * replicas)];
    const chosen = countOf(one, recent) <= countOf(two, recent) ? one : two;
    const cache = caches[chosen] ?? new Set();
    if (!cache.delete(adapter)) {
      loads += 1;
      const [oldest] = cache;
      if (cache.size >= room && oldest !== undefined) cache.delete(oldest);
    }
    cache.add(adapter);
    recent.push(chosen);
    if (recent.length > inFlight) recent.shift();
  }
  return loads;
}

test('200 adapters on 4 replicas of 16, a Zipf trace of 20 000 requests: few loads, even load, nobody lost', async (t) => {
  const [replicas, room] = [4, 16];
  const trace = zipfTrace(20, 20_000);
  const fleet = await fleetOf(replicas, adapters, { maxPerReplica: room, loadMs: 30 });
  const answers: Promise<string>[] = [];
  for (const at of trace) {
    answers.push(fleet.request(`adapter-${at}`, 200));
    await fleet.clock.advance(20);
  }
  await fleet.clock.advance(30_000);
  const wrong = (await Promise.all(answers)).filter((handle, at) => handle !== `adapter-${trace[at]}.1`);
  const served = [...fleet.members.values()].map((member) => member.served);
  const spread = Math.max(...served) / (trace.length / replicas);
  const [ray, best] = [twoChoicesThenLoad(trace, replicas, room, 10), clairvoyant(trace, replicas * room)];
  t.diagnostic(`loads ${fleet.counts.loaded}, two choices then load ${ray}, clairvoyant ${best}, spread ${spread.toFixed(2)}`);
  assert.deepEqual(wrong, []);
  assert.ok(fleet.counts.loaded <= ray / 2, `${fleet.counts.loaded} loads, Ray's way ${ray}`);
  assert.ok(spread <= 1.25, `max/mean ${spread}`);
  fleet.pool.close();
});
