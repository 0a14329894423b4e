import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { adapterName } from '../../../src/core/ids.ts';
import type { AdapterName } from '../../../src/core/ids.ts';
import { Heat } from '../../../src/supervisor/adapters/heat.ts';
import { planMove } from '../../../src/supervisor/adapters/balance.ts';
import { nextToYield } from '../../../src/supervisor/adapters/turns.ts';
import { copiesOf, copiesWanted, placeAdapter, prefers } from '../../../src/supervisor/adapters/placement.ts';
import type { Holder, Residence } from '../../../src/supervisor/adapters/placement.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(adapterName) as [AdapterName, AdapterName, AdapterName, AdapterName];
const idle: Residence = { state: 'loaded', inFlight: 0, since: 0 };
const busy: Residence = { state: 'loaded', inFlight: 1, since: 0 };
const busySince = (at: number): Residence => ({ ...busy, since: at });
const leaving: Residence = { state: 'leaving', inFlight: 1, since: 0 };
const loading: Residence = { state: 'loading', inFlight: 0, since: 0 };

function holder(index: number, capacity: number, adapters: readonly (readonly [AdapterName, Residence])[] = [], heat = 0): Holder {
  return { index, capacity, heat, adapters: new Map(adapters) };
}
const cold = (): number => 0;
const pick = (yielding: ReturnType<typeof nextToYield>): unknown => yielding && [yielding.index, yielding.adapter];

describe('where an adapter goes', () => {
  test('to the same replica whoever asks, where there is room', () => {
    const first = placeAdapter(a, [holder(0, 2), holder(1, 2), holder(2, 2)], cold);
    const again = placeAdapter(a, [holder(2, 2), holder(0, 2), holder(1, 2)], cold);
    assert.equal(first.kind, 'load');
    assert.deepEqual(again, first);
  });

  test('past a replica that is hotter than the others, and past one that has it', () => {
    const [preferred] = [0, 1, 2].filter((index) => prefers(a, index, [0, 1, 2]));
    assert.ok(preferred !== undefined);
    const hot = placeAdapter(
      a,
      [0, 1, 2].map((index) => holder(index, 2, [], index === preferred ? 10 : 1)),
      cold,
    );
    assert.ok(hot.kind === 'load' && hot.index !== preferred);
    const more = placeAdapter(
      a,
      [0, 1, 2].map((index) => holder(index, 2, index === preferred ? [[a, busy]] : [])),
      cold,
    );
    assert.ok(more.kind === 'load' && more.index !== preferred);
  });

  test('in place of the least used of late that has no request, a second copy counting half', () => {
    const heat = new Map([
      [b, 5],
      [c, 3],
      [d, 4],
    ]);
    const heatOf = (adapter: AdapterName): number => heat.get(adapter) ?? 0;
    const full = [
      [b, idle],
      [c, busy],
      [d, idle],
    ] as const;
    assert.deepEqual(placeAdapter(a, [holder(0, 3, full)], heatOf), { kind: 'evict', index: 0, victim: d });
    const second = holder(1, 1, [[b, busy]]);
    assert.deepEqual(placeAdapter(a, [holder(0, 3, full), second], heatOf), { kind: 'evict', index: 0, victim: b });
  });

  test('nowhere while all are in use, and not twice while room is made', () => {
    assert.deepEqual(placeAdapter(a, [holder(0, 1, [[b, busy]]), holder(1, 1, [[c, loading]])], cold), { kind: 'full' });
    assert.deepEqual(placeAdapter(a, [holder(0, 1, [[b, leaving]])], cold), { kind: 'wait' });
    assert.deepEqual(placeAdapter(a, [holder(0, 1, [[a, leaving]])], cold), { kind: 'wait' });
    assert.deepEqual(placeAdapter(a, [], cold), { kind: 'full' });
  });

  test('property: never beyond the room, never in place of one in use, never where it is', () => {
    const name = fc.constantFrom(a, b, c, d);
    const residence = fc.record(
      { state: fc.constantFrom('loading', 'loaded', 'leaving'), inFlight: fc.nat(2), since: fc.constant(0) },
      { noNullPrototype: true },
    );
    const anyHolder = fc.record({ heat: fc.nat(9), adapters: fc.uniqueArray(fc.tuple(name, residence), { selector: ([of]) => of }) });
    fc.assert(
      fc.property(fc.array(anyHolder, { maxLength: 4 }), name, fc.integer({ min: 3, max: 4 }), (holders, adapter, capacity) => {
        const all = holders.map(({ heat, adapters }, index) => holder(index, Math.max(capacity, adapters.length), adapters, heat));
        const placed = placeAdapter(adapter, all, cold);
        if (placed.kind === 'wait' || placed.kind === 'full') return;
        const target = all[placed.index];
        assert.ok(target !== undefined && !target.adapters.has(adapter));
        if (placed.kind === 'load') assert.ok(target.adapters.size < target.capacity);
        else assert.deepEqual(target.adapters.get(placed.victim), idle);
      }),
    );
  });
});

describe('what moves', () => {
  const heats = new Map([
    [a, 300],
    [b, 120],
    [c, 80],
    [d, 10],
  ]);
  const heatOf = (adapter: AdapterName): number => heats.get(adapter) ?? 0;
  const all = [a, b, c, d].map((name) => [name, busy] as const);
  const none = new Set<AdapterName>();

  test('is what leaves the hotter of the two replicas coolest', () => {
    assert.deepEqual(planMove([holder(0, 4, all, 510), holder(1, 4, [], 300)], heatOf, none), { adapter: b, from: 0, to: 1 });
    assert.deepEqual(planMove([holder(1, 4, [], 10), holder(0, 4, all, 510), holder(2, 4, [], 300)], heatOf, none), {
      adapter: a,
      from: 0,
      to: 1,
    });
  });

  test('is nothing where load is even, or too little to say, or another would be as hot then', () => {
    assert.equal(planMove([holder(0, 4, all, 410), holder(1, 4, [], 400)], heatOf, none), undefined);
    assert.equal(planMove([holder(0, 4, all, 90), holder(1, 4, [], 1)], heatOf, none), undefined);
    assert.equal(planMove([holder(0, 4, [[a, busy]], 300), holder(1, 4, [], 10)], heatOf, none), undefined);
    assert.equal(planMove([holder(0, 4, all, 510)], heatOf, none), undefined);
    assert.equal(planMove([], heatOf, none), undefined);
  });

  test('is nothing while a copy may go that shares its load with one on the coolest', () => {
    const holders = [holder(0, 4, all, 510), holder(1, 4, [[b, idle]], 120), holder(2, 4, [[b, idle]], 300)];
    assert.deepEqual(planMove(holders, heatOf, none), { adapter: a, from: 0, to: 1 });
    assert.equal(planMove(holders, heatOf, new Set([b])), undefined);
  });

  test('is neither what is there already, nor what is on its way', () => {
    const others = [holder(1, 4, [[b, busy]], 300), holder(2, 4, [[c, busy]], 400)];
    assert.equal(planMove([holder(0, 4, [...all.slice(1), [a, leaving]], 510), ...others], heatOf, none), undefined);
  });
});

test('where all are in use one yields that has a copy, else the one that has been there longest, after a while', () => {
  const holders = [
    holder(0, 2, [
      [b, busySince(2_000)],
      [c, busySince(1_000)],
    ]),
    holder(1, 1, [[d, busySince(500)]]),
  ];
  assert.equal(nextToYield(a, holders, 5_000), undefined);
  assert.deepEqual(pick(nextToYield(a, holders, 5_500)), [1, d]);
  assert.deepEqual(pick(nextToYield(a, [...holders, holder(2, 1, [[b, busySince(3_000)]])], 9_000)), [0, b]);
  assert.deepEqual(pick(nextToYield(d, holders, 9_000)), [0, c], 'not on a replica that has it');
});

test('copies follow the share of the load, between one and all replicas', () => {
  assert.deepEqual(
    [0, 0.1, 0.25, 0.26, 0.6, 1].map((share) => copiesWanted(share, 4)),
    [1, 1, 1, 2, 3, 4],
  );
  const holders = [holder(0, 2, [[a, idle]]), holder(1, 2, [[a, leaving]]), holder(2, 2, [[a, loading]])];
  assert.equal(copiesOf(a, holders), 2);
});

function firstChoices(adapter: AdapterName, indices: readonly number[]): number[] {
  return indices.filter((index) => prefers(adapter, index, indices));
}

test('exactly one replica is the first choice of an adapter, and another one going does not change it', () => {
  const names = Array.from({ length: 200 }, (_, at) => adapterName(`adapter-${at}`));
  const counts = new Map<number, number>();
  for (const name of names) {
    const [chosen, ...more] = firstChoices(name, [0, 1, 2, 3]);
    assert.ok(chosen !== undefined && more.length === 0);
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    if (chosen !== 3) assert.deepEqual(firstChoices(name, [0, 1, 2]), [chosen]);
  }
  for (const count of counts.values()) assert.ok(count >= 30 && count <= 70, `${count} of 200 adapters at one of 4 replicas`);
});

test('heat halves with time, and the coldest are forgotten', () => {
  const heat = new Heat<string>({ halfLifeMs: 1000, most: 2 });
  heat.add('a', 8, 0);
  assert.equal(heat.of('a', 1000), 4);
  heat.add('a', 1, 2000);
  assert.equal(heat.of('a', 2000), 3);
  for (const [at, key] of ['b', 'c', 'd', 'e'].entries()) heat.add(key, at + 2, 2000);
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((key) => heat.of(key, 2000)),
    [0, 0, 0, 4, 5],
  );
});
