import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { rayDecision, type RayRule, type RayState } from '../../src/autoscale/ray-policy.ts';
import { z } from 'zod';

const recorded = z.object({
  ray: z.string(),
  period_s: z.number(),
  vectors: z.array(
    z.object({
      config: z.object({
        min_replicas: z.number(),
        max_replicas: z.number(),
        initial_replicas: z.number().optional(),
        target_ongoing_requests: z.number(),
        upscale_delay_s: z.number(),
        downscale_delay_s: z.number(),
        downscale_to_zero_delay_s: z.number().optional(),
        upscaling_factor: z.number().optional(),
        downscaling_factor: z.number().optional(),
        smoothing_factor: z.number().optional(),
        upscale_smoothing_factor: z.number().optional(),
        downscale_smoothing_factor: z.number().optional(),
      }),
      /** total requests, running replicas, target after it, counter after it */
      steps: z.array(z.tuple([z.number(), z.number(), z.number(), z.number()])),
    }),
  ),
});

const file = join(import.meta.dirname, '../fixtures/autoscale/ray-policy.json');
const { ray, period_s: periodS, vectors } = recorded.parse(JSON.parse(readFileSync(file, 'utf8')));

function ruleOf(config: (typeof vectors)[number]['config']): RayRule {
  const smoothing = config.smoothing_factor ?? 1;
  return {
    min: config.min_replicas,
    max: config.max_replicas,
    targetOngoing: config.target_ongoing_requests,
    upscalingFactor: config.upscaling_factor ?? config.upscale_smoothing_factor ?? smoothing,
    downscalingFactor: config.downscaling_factor ?? config.downscale_smoothing_factor ?? smoothing,
    upscaleDelayMs: config.upscale_delay_s * 1000,
    downscaleDelayMs: config.downscale_delay_s * 1000,
    downscaleToZeroDelayMs: (config.downscale_to_zero_delay_s ?? config.downscale_delay_s) * 1000,
    periodMs: periodS * 1000,
  };
}

describe(`a decision of Ray's policy (${ray})`, () => {
  it('is the same on every step of every recorded trace', () => {
    assert.equal(vectors.length, 40);
    for (const [number, { config, steps }] of vectors.entries()) {
      const rule = ruleOf(config);
      let state: RayState = { target: config.initial_replicas ?? config.min_replicas, counter: 0 };
      for (const [at, [ongoing, running, target, counter]] of steps.entries()) {
        state = rayDecision(rule, state, { ongoing, running }).state;
        assert.deepEqual(state, { target, counter }, `trace ${number}, step ${at}`);
      }
    }
  });

  it('records that do change replicas both ways, and to zero', () => {
    const targets = vectors.map(({ steps }) => steps.map(([, , target]) => target));
    const moves = targets.flatMap((all) => all.slice(1).map((target, at) => target - (all[at] ?? target)));
    assert.ok(moves.filter((move) => move > 0).length > 100);
    assert.ok(moves.filter((move) => move < 0).length > 100);
    assert.ok(targets.filter((all) => all.some((target, at) => target === 0 && all[at - 1] === 1)).length > 5);
  });
});

const rules = fc
  .record({
    min: fc.integer({ min: 0, max: 5 }),
    more: fc.integer({ min: 1, max: 30 }),
    targetOngoing: fc.double({ min: 0.1, max: 100, noNaN: true }),
    upscalingFactor: fc.double({ min: 0.1, max: 4, noNaN: true }),
    downscalingFactor: fc.double({ min: 0.1, max: 4, noNaN: true }),
    upscaleDelayMs: fc.integer({ min: 0, max: 1000 }),
    downscaleDelayMs: fc.integer({ min: 0, max: 1000 }),
    downscaleToZeroDelayMs: fc.integer({ min: 0, max: 1000 }),
  })
  .map(({ more, ...rule }): RayRule => ({ ...rule, max: rule.min + more, periodMs: 100 }));
const loads = fc.double({ min: 0, max: 1e6, noNaN: true });

describe('a decision', () => {
  it('stays within the bounds, and reaches zero only from one', () => {
    fc.assert(
      fc.property(rules, fc.array(fc.tuple(loads, fc.nat(40)), { maxLength: 60 }), (rule, steps) => {
        let state: RayState = { target: rule.min, counter: 0 };
        for (const [ongoing, running] of steps) {
          const next = rayDecision(rule, state, { ongoing, running }).state;
          assert.ok(next.target >= rule.min && next.target <= rule.max);
          if (next.target === 0) assert.ok(state.target <= 1);
          state = next;
        }
      }),
    );
  });

  it('never wants fewer replicas for more load', () => {
    fc.assert(
      fc.property(
        rules,
        loads,
        loads,
        fc.nat(40),
        fc.nat(40),
        fc.integer({ min: -20, max: 20 }),
        (rule, a, b, running, target, counter) => {
          // Of two loads on either side of the target the factors differ, but both keep the side they are on.
          const state = { target: Math.max(rule.min, Math.min(rule.max, target)), counter };
          const few = rayDecision(rule, state, { ongoing: Math.min(a, b), running }).state;
          const many = rayDecision(rule, state, { ongoing: Math.max(a, b), running }).state;
          assert.ok(few.target <= many.target);
        },
      ),
    );
  });

  it('keeps the replicas of a square wave whose halves are shorter than the delays', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1000 }), (half, high) => {
        const delay = (half + 1) * 100;
        const rule: RayRule = {
          min: 1,
          max: 10,
          targetOngoing: 2,
          upscalingFactor: 1,
          downscalingFactor: 1,
          upscaleDelayMs: delay,
          downscaleDelayMs: delay,
          downscaleToZeroDelayMs: delay,
          periodMs: 100,
        };
        let state: RayState = { target: 3, counter: 0 };
        for (let step = 0; step < 400; step += 1) {
          const ongoing = Math.floor(step / half) % 2 === 0 ? high + 6 : 0;
          state = rayDecision(rule, state, { ongoing, running: 3 }).state;
          assert.equal(state.target, 3);
        }
      }),
    );
  });
});
