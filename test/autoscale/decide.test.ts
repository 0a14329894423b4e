import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide, decisionPeriodMs, initialState, underRule, type ScaleInput, type ScaleState } from '../../src/autoscale/decide.ts';
import type { Autoscaling } from '../../src/config/config.ts';
import { scalingRule } from '../support/scaling-rule.ts';

const rule = scalingRule({ lookBackMs: 30_000 });
const quiet: ScaleInput = { ongoing: 0, ongoingNow: 0, running: 0, idleMs: 0, lacksGpus: false };
const busy = (ongoing: number, running: number): ScaleInput => ({ ongoing, ongoingNow: ongoing, running, idleMs: 0, lacksGpus: false });

/** Decides again and again with one input, for `ms`. */
function through(from: ScaleState, input: ScaleInput, ms: number, by: Autoscaling = rule): ScaleState {
  let state = from;
  for (let at = 0; at < ms; at += decisionPeriodMs) state = decide(by, state, input).state;
  return state;
}

describe('a model without a replica', () => {
  it('sleeps until a request is there, then starts one at once', () => {
    const asleep = decide(rule, initialState(rule), quiet);
    assert.deepEqual([asleep.replicas, asleep.why.reason], [0, 'asleep']);
    const woken = decide(rule, asleep.state, { ...quiet, ongoingNow: 50 });
    assert.deepEqual([woken.replicas, woken.why.reason], [1, 'cold-start']);
    const starting = decide(rule, woken.state, { ...quiet, ongoingNow: 50 });
    assert.deepEqual([starting.replicas, starting.why.reason], [1, 'starting']);
  });

  it('is not started for requests that have left', () => {
    assert.equal(decide(rule, initialState(rule), { ...quiet, ongoing: 3 }).replicas, 0);
  });

  it('stops wanting the one that starts once nobody has wanted it for the idle time', () => {
    const state = { target: 1, counter: 0 };
    assert.equal(decide(rule, state, { ...quiet, idleMs: 4999 }).replicas, 1);
    assert.equal(decide(rule, state, { ...quiet, idleMs: 5000 }).replicas, 0);
  });
});

describe('a replica that waits for a GPU', () => {
  it('is given up with the last request for it, and not before', () => {
    const one = { target: 1, counter: 0 };
    assert.equal(decide(rule, one, { ...quiet, ongoingNow: 1, lacksGpus: true }).replicas, 1);
    const { replicas, why } = decide(rule, one, { ...quiet, lacksGpus: true });
    assert.deepEqual([replicas, why.reason], [0, 'withdrawn']);
    assert.equal(decide({ ...rule, min: 1 }, one, { ...quiet, lacksGpus: true }).replicas, 1);
  });
});

describe('the last replica', () => {
  it('goes when no request was there for the idle time, and not because the mean is low', () => {
    const one = { target: 1, counter: 0 };
    assert.equal(through(one, { ...quiet, running: 1, idleMs: 4000 }, 60_000).target, 1);
    const { replicas, why } = decide(rule, one, { ...quiet, running: 1, idleMs: 5000 });
    assert.deepEqual([replicas, why.reason, why.delay], [0, 'to-zero', { elapsedMs: 5000, neededMs: 5000 }]);
  });

  it('goes after the delay of Ray where that is given', () => {
    const delayed: Autoscaling = { ...rule, toZero: { kind: 'delay', ms: 3000 } };
    const one = { target: 1, counter: 0 };
    assert.equal(through(one, { ...quiet, running: 1, idleMs: 1e9 }, 3000, delayed).target, 1);
    assert.equal(through(one, { ...quiet, running: 1, idleMs: 1e9 }, 3100, delayed).target, 0);
  });

  it('stays where the minimum is one', () => {
    assert.equal(through({ target: 1, counter: 0 }, { ...quiet, running: 1, idleMs: 1e9 }, 60_000, { ...rule, min: 1 }).target, 1);
  });
});

describe('the reason of a decision', () => {
  it('has every term, the delay, and the bound that holds it', () => {
    const { why } = decide(rule, { target: 1, counter: 3 }, busy(20, 1));
    assert.deepEqual(why, {
      reason: 'up-delayed',
      input: busy(20, 1),
      from: 1,
      terms: { errorRatio: 10, factor: 1, smoothedRatio: 10, unbounded: 10, desired: 4 },
      delay: { elapsedMs: 400, neededMs: 1100 },
      bound: { kind: 'max', wanted: 10 },
    });
  });

  it('is the change once the delay is over', () => {
    const state = through({ target: 1, counter: 0 }, busy(5, 1), 1000);
    const { replicas, why } = decide(rule, state, busy(5, 1));
    assert.deepEqual([replicas, why.reason, why.delay], [3, 'up', { elapsedMs: 1100, neededMs: 1100 }]);
  });
});

const idle = (idleMs: number, more: Partial<ScaleInput> = {}): ScaleInput => ({ ...quiet, running: 3, idleMs, ...more });

describe('replicas that may sleep', () => {
  const sleepy: Autoscaling = { ...rule, sleepMs: 2000, toZero: { kind: 'idle', ms: 5000 } };
  const three = { target: 3, counter: -7 };
  const outcome = (input: ScaleInput): readonly unknown[] => {
    const { replicas, sleep, why } = decide(sleepy, three, input);
    return [replicas, sleep, why.reason];
  };

  it('sleep together once no request was there for that long, however many they are', () => {
    assert.deepEqual(outcome(idle(1999)).slice(0, 2), [3, false]);
    assert.deepEqual(outcome(idle(2000)), [3, true, 'sleeping']);
    assert.deepEqual(outcome(idle(4999, { running: 0, asleep: 3 })), [3, true, 'sleeping']);
  });

  it('wake for the first request, as many as there are, and stop together when none comes', () => {
    assert.deepEqual(outcome({ ...idle(0, { running: 0, asleep: 3 }), ongoingNow: 1 }), [3, false, 'starting']);
    assert.deepEqual(outcome(idle(5000, { running: 0, asleep: 3 })), [0, false, 'to-zero']);
  });
});

describe('another rule', () => {
  it('keeps the number within its bounds and counts anew', () => {
    assert.deepEqual(underRule({ min: 1, max: 2 }, { target: 4, counter: 9 }), { target: 2, counter: 0 });
    assert.deepEqual(underRule({ min: 1, max: 2 }, { target: 0, counter: -2 }), { target: 1, counter: 0 });
  });
});

describe('decisions in a row', () => {
  const inputs = fc.record({
    ongoing: fc.double({ min: 0, max: 100, noNaN: true }),
    ongoingNow: fc.nat(100),
    running: fc.nat(5),
    idleMs: fc.nat(10_000),
    lacksGpus: fc.boolean(),
    asleep: fc.constantFrom(0, 0, 1, 3),
  });
  it('stay within the bounds, and leave zero only for a request', () => {
    fc.assert(
      fc.property(fc.array(inputs, { maxLength: 100 }), fc.constantFrom('delay', 'idle', 'sleep'), (all, how) => {
        const delayed: Autoscaling = { ...rule, toZero: { kind: 'delay', ms: 300 } };
        const by: Autoscaling = { delay: delayed, idle: rule, sleep: { ...rule, sleepMs: 3000 } }[how];
        let state = initialState(by);
        for (const input of all) {
          const decision = decide(by, state, input);
          assert.ok(decision.replicas >= by.min && decision.replicas <= by.max);
          assert.equal(decision.replicas, decision.state.target);
          if (state.target === 0 && decision.replicas > 0 && input.running === 0) assert.ok(input.ongoingNow > 0);
          if (decision.replicas === 0 && decision.why.reason !== 'withdrawn' && how !== 'sleep') assert.ok(state.target <= 1);
          if (decision.sleep) assert.ok(how === 'sleep' && input.ongoingNow === 0 && decision.replicas > 0);
          state = decision.state;
        }
      }),
    );
  });
});
