import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { simulate, type SimulatedLoad, type SimulatedModelResult, type SimulatedRequest } from '../../src/autoscale/simulate.ts';
import { simulatedGpus } from '../../src/cli/simulated-gpus.ts';
import type { Autoscaling } from '../../src/config/config.ts';
import type { GpuRequest } from '../../src/supervisor/gpus/place.ts';
import { scalingRule } from '../support/scaling-rule.ts';

const onDemand: Autoscaling = scalingRule({ max: 1, target: { ongoing: 4, source: 'engine' }, toZero: { kind: 'idle', ms: 600_000 } });

interface Wish {
  readonly name: string;
  /** Of each replica. */
  readonly gpus: number;
  readonly requests: readonly SimulatedRequest[];
  readonly rule?: Autoscaling;
  readonly priority?: number;
}

/** On a machine with so many GPUs, for `endMs`. A start takes four seconds. */
function on(gpus: number, endMs: number, ...wishes: readonly Wish[]): readonly SimulatedModelResult[] {
  const loads = wishes.map(({ name, gpus: gpusEach, requests, rule = onDemand, priority = 0 }): SimulatedLoad => {
    return { model: { name, rule, coldStartMs: 4000, wakeMs: 500, slots: 4, gpusEach, priority }, requests };
  });
  const asks = new Map(
    wishes.map(({ name, gpus: count, priority = 0 }): [string, GpuRequest] => {
      return [name, { holder: name, gpus: count, share: 1, optional: false, priority, acceleratorType: undefined }];
    }),
  );
  return simulate(loads, endMs, 100, simulatedGpus(gpus, asks));
}

const every = (ms: number, count: number, from = 0, durationMs = 200): readonly SimulatedRequest[] =>
  Array.from({ length: count }, (_, at) => ({ atMs: from + at * ms, durationMs }));

const longest = (result: SimulatedModelResult | undefined): number => Math.max(...(result?.waitsMs ?? assert.fail('no such model')));

describe('models that share GPUs in virtual time', () => {
  it('take an idle one of another model, which is given up once', () => {
    const [a, b] = on(1, 120_000, { name: 'a', gpus: 1, requests: every(1, 1) }, { name: 'b', gpus: 1, requests: every(1, 1, 30_000) });
    assert.deepEqual([a?.coldStarts, a?.yielded, b?.coldStarts, b?.waitsMs], [1, 1, 1, [4000]]);
  });

  it('group the requests of A, B, A, C into turns', () => {
    const seconds = 600;
    const pattern = ['a', 'b', 'a', 'c'];
    const requestsOf = (name: string): readonly SimulatedRequest[] =>
      every(1000, seconds).filter((_, at) => pattern[at % pattern.length] === name);
    const wishes = ['a', 'b', 'c'].map((name) => ({ name, gpus: 1, requests: requestsOf(name) }));
    const results = on(1, 900_000, ...wishes);
    const starts = results.reduce((sum, { coldStarts }) => sum + coldStarts, 0);
    assert.deepEqual(
      results.map(({ unserved }) => unserved),
      [0, 0, 0],
    );
    assert.ok(starts <= seconds / 10, `${starts} starts for ${seconds} requests; a turn takes ten seconds`);
    assert.ok(
      results.every((result) => longest(result) < 60_000),
      `waited up to ${results.map(longest).join(', ')} ms`,
    );
  });

  it('do not starve one that needs several by many that need one, which it would otherwise', () => {
    const small = ['a', 'b', 'c', 'd'].map((name, at) => ({ name, gpus: 1, requests: every(500, 1200, at * 2500) }));
    const [big, ...others] = on(2, 900_000, { name: 'big', gpus: 2, requests: every(500, 1100, 20_000) }, ...small);
    assert.equal(big?.unserved, 0);
    assert.ok(longest(big) < 90_000, `it waited ${longest(big)} ms`);
    assert.deepEqual(
      others.map(({ unserved }) => unserved),
      [0, 0, 0, 0],
    );
  });

  it('leave one of a higher priority alone', () => {
    const [low, high] = on(
      1,
      60_000,
      { name: 'low', gpus: 1, requests: every(1, 1, 20_000) },
      { name: 'high', gpus: 1, priority: 1, requests: every(1, 1) },
    );
    assert.deepEqual([low?.unserved, high?.yielded], [1, 0]);
  });

  it('are served whatever comes, with no more replicas at a time than there is room for', () => {
    const wish = fc.record({
      gpus: fc.integer({ min: 1, max: 3 }),
      at: fc.array(fc.nat(60_000), { maxLength: 12 }),
      max: fc.integer({ min: 1, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 5 }), (wishes) => {
        const results = on(
          3,
          1_500_000,
          ...wishes.map(({ gpus, at, max }, index) => ({
            name: `m${index}`,
            gpus,
            rule: { ...onDemand, max, target: { ongoing: 1, source: 'config' } as const },
            requests: at.toSorted((a, b) => a - b).map((atMs) => ({ atMs, durationMs: 300 })),
          })),
        );
        for (const { name, unserved } of results) assert.equal(unserved, 0, `${name} was not served`);
        const changes = results.flatMap(({ samples }, index) => samples.map(({ atMs, running }) => ({ atMs, index, running })));
        const held = new Map<number, number>();
        for (const { atMs, index, running } of changes.sort((a, b) => a.atMs - b.atMs || a.running - b.running)) {
          held.set(index, running * (wishes[index]?.gpus ?? 0));
          assert.ok([...held.values()].reduce((sum, gpus) => sum + gpus, 0) <= 3, `too many at ${atMs}`);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('sleep first: the sleeper wakes for its requests, or goes for those of another model', () => {
    const rule: Autoscaling = { ...onDemand, sleepMs: 5000 };
    const [sleeper, other] = on(
      1,
      120_000,
      { name: 'sleeper', gpus: 1, rule, requests: [...every(1, 1), ...every(1, 1, 20_000)] },
      { name: 'other', gpus: 1, requests: every(1, 1, 60_000) },
    );
    assert.deepEqual(sleeper?.waitsMs, [4000, 500]);
    assert.deepEqual([sleeper?.coldStarts, sleeper?.wakes, sleeper?.yielded, other?.unserved], [1, 1, 1, 0]);
  });
});

describe('a square wave', () => {
  it('takes no replica away while its low parts are shorter than the delay', () => {
    const wave = fc.record({
      lowMs: fc.integer({ min: 500, max: 15_000 }),
      highMs: fc.integer({ min: 6000, max: 30_000 }),
      periods: fc.integer({ min: 2, max: 8 }),
      lookBackMs: fc.integer({ min: 100, max: 2000 }),
    });
    fc.assert(
      fc.property(wave, ({ lowMs, highMs, periods, lookBackMs }) => {
        const rule = scalingRule({ min: 1, initial: 1, upscaleDelayMs: 500, downscaleDelayMs: 18_000, lookBackMs });
        // Twelve at a time: more than the most replicas are meant for.
        const high = (period: number): readonly SimulatedRequest[] => every(100, Math.ceil(highMs / 100), period * (lowMs + highMs), 1200);
        const requests = Array.from({ length: periods }, (_, period) => high(period)).flat();
        const end = periods * (lowMs + highMs) - lowMs;
        const [result] = simulate([{ model: { name: 'm', rule, coldStartMs: 1000, slots: 4 }, requests }], end, 100);
        const wanted = (result?.samples ?? []).map((sample) => sample.wanted);
        assert.deepEqual([Math.max(...wanted), wanted.filter((count, at) => count < (wanted[at - 1] ?? 0))], [4, []]);
      }),
      { numRuns: 100 },
    );
  });
});
