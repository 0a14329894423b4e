import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { aggregate, type Aggregation, LoadWindow, type Point } from '../../src/autoscale/window.ts';

const series = z.array(z.tuple([z.number(), z.number()]).transform(([at, value]): Point => ({ at, value })));
const recorded = z.object({
  vectors: z.array(
    z.object({
      merged: series,
      last_window_s: z.number(),
      values: z.record(z.enum(['mean', 'max', 'min']), z.number().nullable()),
    }),
  ),
});
const file = join(import.meta.dirname, '../fixtures/autoscale/ray-window.json');
const { vectors } = recorded.parse(JSON.parse(readFileSync(file, 'utf8')));
const ways: readonly Aggregation[] = ['mean', 'max', 'min'];

function near(found: number | undefined, expected: number | null | undefined, what: string): void {
  if (found === undefined || typeof expected !== 'number') assert.equal(found ?? null, expected, what);
  else assert.ok(Math.abs(found - expected) < 1e-6 * Math.max(1, Math.abs(expected)), `${what}: ${found}, expected ${expected}`);
}

describe('a series', () => {
  it('is aggregated as by Ray', () => {
    assert.equal(vectors.length, 60);
    for (const [number, { merged, last_window_s: lastS, values }] of vectors.entries()) {
      const until = (merged.at(-1)?.at ?? 0) + lastS;
      for (const how of ways) near(aggregate(merged, how, until), values[how], `vector ${number}, ${how}`);
    }
  });
});

describe('a window', () => {
  it('gives what its points give, whatever has gone through it', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 9 })), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20_000 }), fc.nat(3000), (values, lengthMs, laterMs) => {
        const window = new LoadWindow(lengthMs);
        const all: Point[] = [];
        let at = 0;
        for (const [pauseMs, value] of values) {
          at += pauseMs;
          window.add(at, value);
          if (all.at(-1)?.at === at) all.pop();
          all.push({ at, value });
        }
        const start = at - lengthMs;
        const before = all.filter((point) => point.at <= start).at(-1);
        const inside = [...(before === undefined ? [] : [{ at: start, value: before.value }]), ...all.filter((point) => point.at > start)];
        const now = at + laterMs;
        const expected = (how: Aggregation): number => aggregate(inside, how, now) ?? inside.at(-1)?.value ?? 0;
        for (const how of ways) near(window.read(how, now), expected(how), how);
      }),
    );
  });

  it('knows the value it has had for long, and forgets one that has gone', () => {
    const window = new LoadWindow(1000);
    window.add(0, 4);
    window.add(10_000, 4);
    assert.equal(window.read('mean', 10_000), 4);
    window.add(10_000, 0);
    window.add(10_500, 0);
    assert.equal(window.read('mean', 10_500), 2);
    window.add(11_000, 0);
    assert.equal(window.read('mean', 11_000), 0);
    assert.equal(window.points().length, 1);
  });
});
