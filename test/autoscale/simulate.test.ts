import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { plot } from '../../src/autoscale/plot.ts';
import { simulate, type SimulatedModel, type SimulatedModelResult, type SimulatedRequest } from '../../src/autoscale/simulate.ts';
import { readLoad, readTrace, requestsOf } from '../../src/autoscale/trace.ts';
import type { Autoscaling } from '../../src/config/config.ts';

const rule: Autoscaling = {
  min: 0,
  max: 3,
  initial: 0,
  target: { ongoing: 1, source: 'config' },
  upscalingFactor: 1,
  downscalingFactor: 1,
  upscaleDelayMs: 1000,
  downscaleDelayMs: 5000,
  toZero: { kind: 'idle', ms: 10_000 },
  lookBackMs: 2000,
  aggregation: 'mean',
};
const model: SimulatedModel = { name: 'm', rule, coldStartMs: 4000, slots: 2 };
const steady = (count: number, everyMs: number, durationMs: number): readonly SimulatedRequest[] =>
  Array.from({ length: count }, (_, at) => ({ atMs: 1000 + at * everyMs, durationMs }));

const simulateModel = (of: SimulatedModel, requests: readonly SimulatedRequest[], endMs: number, stepMs: number): SimulatedModelResult =>
  simulate([{ model: of, requests }], endMs, stepMs)[0] ?? assert.fail('one model, one result');

describe('a simulated model', () => {
  it('starts one replica for the first request, at once, and lets it go after the idle time', () => {
    const { waitsMs, coldStarts, samples, replicaMs, unserved } = simulateModel(model, [{ atMs: 1234, durationMs: 500 }], 60_000, 100);
    assert.deepEqual([waitsMs, coldStarts, unserved], [[4000], 1, 0]);
    assert.deepEqual(
      samples.map(({ atMs, wanted, running, waiting, inFlight }) => [atMs, wanted, running, waiting, inFlight]),
      [
        [0, 0, 0, 0, 0],
        [1234, 1, 0, 1, 0],
        [5234, 1, 1, 0, 1],
        [5734, 1, 1, 0, 0],
        [15_800, 0, 0, 0, 0],
      ],
    );
    assert.equal(replicaMs, 15_800 - 1234);
  });

  it('grows with the load to its maximum, and no further', () => {
    const { samples, unserved } = simulateModel(model, steady(400, 100, 600), 120_000, 100);
    assert.equal(Math.max(...samples.map(({ running }) => running)), 3);
    assert.equal(samples.at(-1)?.wanted, 0);
    assert.equal(unserved, 0);
  });

  it('takes a draining replica back when its load returns', () => {
    // Six requests for three replicas, then long ones that keep them all busy while fewer are wanted, then many again.
    const busy = steady(100, 300, 900);
    const long = Array.from({ length: 3 }, (_, at): SimulatedRequest => ({ atMs: 31_500 + at, durationMs: 30_000 }));
    const again = Array.from({ length: 100 }, (_, at): SimulatedRequest => ({ atMs: 45_000 + at * 300, durationMs: 900 }));
    const few: SimulatedModel = { ...model, rule: { ...rule, target: { ongoing: 2, source: 'config' } } };
    const { coldStarts, unserved } = simulateModel(few, [...busy, ...long, ...again], 200_000, 100);
    assert.equal(unserved, 0);
    const largest = Math.max(...simulateModel(few, busy, 200_000, 100).samples.map(({ wanted }) => wanted));
    assert.ok(coldStarts <= largest + 1, `${coldStarts} starts for ${largest} replicas`);
  });

  it('leaves unserved what still waits at the end', () => {
    const { unserved, waitsMs } = simulateModel(model, [{ atMs: 1000, durationMs: 10 }], 3000, 100);
    assert.deepEqual([unserved, waitsMs], [1, []]);
  });

  it('serves every request once, within the bounds, whatever comes', () => {
    const requests = fc
      .array(fc.tuple(fc.nat(60_000), fc.nat(5000)), { maxLength: 60 })
      .map((all) => all.map(([atMs, durationMs]): SimulatedRequest => ({ atMs, durationMs })).sort((a, b) => a.atMs - b.atMs));
    fc.assert(
      fc.property(requests, fc.integer({ min: 1, max: 8000 }), fc.constantFrom(100, 1000), (all, coldStartMs, stepMs) => {
        const result = simulateModel({ ...model, coldStartMs }, all, 600_000, stepMs);
        assert.deepEqual([result.unserved, result.waitsMs.length], [0, all.length]);
        for (const { wanted, running, inFlight } of result.samples) {
          assert.ok(wanted >= rule.min && wanted <= rule.max && running <= wanted);
          assert.ok(inFlight >= 0);
        }
        assert.equal(result.samples.at(-1)?.wanted, 0);
        assert.deepEqual(simulateModel({ ...model, coldStartMs }, all, 600_000, stepMs), result);
      }),
    );
  });

  it('does not flap under a square wave that is shorter than its delays', () => {
    const wave = Array.from({ length: 60 }, (_, half) => half)
      .filter((half) => half % 2 === 0)
      .flatMap((half) => Array.from({ length: 10 }, (_, at): SimulatedRequest => ({ atMs: half * 3000 + at * 300, durationMs: 900 })));
    const calm: SimulatedModel = { ...model, rule: { ...rule, downscaleDelayMs: 20_000, lookBackMs: 1000 } };
    const { samples } = simulateModel(calm, wave, 175_000, 100);
    const drops = samples.filter(({ wanted }, at) => wanted < (samples[at - 1]?.wanted ?? 0));
    assert.deepEqual(drops, []);
  });
});

describe('a trace', () => {
  it('is read by model, in the order of arrival', () => {
    const trace = readTrace('time_s,model,duration_s\n2,a,1\r\n0.5,b,0.25\n1,a,3\n\n', 't.csv');
    assert.deepEqual(
      [...trace],
      [
        [
          'a',
          [
            { atMs: 1000, durationMs: 3000 },
            { atMs: 2000, durationMs: 1000 },
          ],
        ],
        ['b', [{ atMs: 500, durationMs: 250 }]],
      ],
    );
  });
  for (const [what, text, message] of [
    ['another header', 'a,b\n', /^t\.csv:1: expected the header time_s,model,duration_s, got "a,b"$/],
    ['a time that is none', 'time_s,model,duration_s\nx,m,1\n', /^t\.csv:2: expected time_s, a number of at least 0, got "x"$/],
    ['a line with too few cells', 'time_s,model,duration_s\n1,m\n', /^t\.csv:2: expected time_s,model,duration_s, got "1,m"$/],
  ] as const) {
    it(`with ${what} is refused by its line`, () => assert.throws(() => readTrace(text, 't.csv'), { code: 'usage_invalid', message }));
  }
});

describe('a load in words', () => {
  it('is that many requests, the same each time', () => {
    const load = readLoad('model=m,rps=5,duration=2s,hours=2');
    const requests = requestsOf(load);
    assert.ok(Math.abs(requests.length - 36_000) < 800, String(requests.length));
    assert.ok(requests.every(({ durationMs }) => durationMs === 2000));
    assert.deepEqual(requestsOf(load), requests);
    assert.notEqual(requestsOf({ ...load, seed: 2 }).length, requests.length);
  });
  it('swings over the day', () => {
    const requests = requestsOf(readLoad('model=m,rps=1,duration=1,hours=24,wave=1'));
    const within = (from: number, to: number): number => requests.filter(({ atMs }) => atMs >= from * 3.6e6 && atMs < to * 3.6e6).length;
    assert.ok(within(0, 2) * 8 < within(11, 13), `${within(0, 2)} at night, ${within(11, 13)} at noon`);
  });
  for (const text of [
    'model=m',
    'rps=1,duration=1',
    'model=m,rps=x,duration=1',
    'model=m,rps=1,duration=1,nope=1',
    'model=m,rps=1,duration=1,wave=2',
  ]) {
    it(`${text} is refused`, () => assert.throws(() => readLoad(text), { code: 'usage_invalid' }));
  }
});

describe('a plot', () => {
  it('is an SVG with a line for each number, whatever a model is called', () => {
    const { samples } = simulateModel(model, steady(50, 100, 600), 60_000, 100);
    const svg = plot([{ name: '<a & "b">', samples }], 60_000);
    assert.match(svg, /^<svg xmlns=/);
    assert.equal(svg.match(/<path /g)?.length, 4);
    assert.match(svg, /&lt;a &amp; &quot;b&quot;&gt;/);
    assert.doesNotMatch(svg, /NaN|undefined/);
  });
});
