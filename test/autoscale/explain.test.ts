import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type ScaleInput } from '../../src/autoscale/decide.ts';
import { blocks, explanation, ruleText } from '../../src/autoscale/explain.ts';
import type { ScaleReport } from '../../src/autoscale/scaler.ts';
import type { Autoscaling } from '../../src/config/config.ts';
import { modelName } from '../../src/core/ids.ts';

const rule: Autoscaling = {
  min: 1,
  max: 3,
  initial: 1,
  target: { ongoing: 2.8, source: 'engine' },
  upscalingFactor: 1,
  downscalingFactor: 1,
  upscaleDelayMs: 10_000,
  downscaleDelayMs: 600_000,
  toZero: { kind: 'idle', ms: 600_000 },
  lookBackMs: 30_000,
  aggregation: 'mean',
};

function reportOf(input: Partial<ScaleInput>, counter: number, more: Partial<ScaleReport> = {}): ScaleReport {
  const full: ScaleInput = { ongoing: 0, ongoingNow: 0, running: 1, idleMs: 0, lacksGpus: false, ...input };
  const { why } = decide(rule, { target: 1, counter }, full);
  const { running, asleep = 0 } = full;
  return { model: modelName('m'), rule, target: 1, running, asleep, why, lacksGpus: undefined, changes: {}, history: [], ...more };
}

test('the explanation has the load, every term, the decision, and each thing that holds it', () => {
  const lacksGpus = 'waiting for a GPU: 0 held by b-0';
  assert.deepEqual(explanation(reportOf({ ongoing: 14, ongoingNow: 15 }, 40, { lacksGpus })), [
    'm: 1 of 1 wanted replica serves',
    '  rule      1 to 3 replicas by load, 2.8 requests at each (0.7 of what the engine works on at once)',
    '  load      14 requests (mean of 30 s), 15 now',
    '  formula   14 / (2.8 · 1) = 5; 1 + (5 − 1) · 1 = 5; ceil(1 · 5) = 5; within 1 and 3: 3',
    '  decision  1 for now: 3 are wanted since 4.1 s of 10.1 s',
    '  held by   max_replicas 3: the load would take 5',
    '            no free GPU: waiting for a GPU: 0 held by b-0',
    '            upscale delay 4.1 s of 10.1 s',
    '  history   none yet',
  ]);
});

test('a minimum and a delay down are told as well', () => {
  const { why } = decide(
    { ...rule, min: 2 },
    { target: 3, counter: -4119 },
    { ongoing: 2, ongoingNow: 2, running: 3, idleMs: 0, lacksGpus: false },
  );
  assert.deepEqual(blocks({ why, rule: { ...rule, min: 2 }, lacksGpus: undefined }), [
    'min_replicas 2: the load would take 1',
    'downscale delay 412 s of 600.1 s',
  ]);
});

test('the history is told with what led to each change', () => {
  const input: ScaleInput = { ongoing: 1, ongoingNow: 1, running: 0, idleMs: 0, lacksGpus: false };
  const at = Date.UTC(2026, 0, 1, 12, 30, 5);
  const history: ScaleReport['history'] = [
    { kind: 'decision', at, rule, state: { target: 0, counter: 0 }, input, replicas: 1, reason: 'cold-start' },
    { kind: 'intervention', at, from: 1, replicas: 0, because: 'its GPUs go to b' },
  ];
  assert.deepEqual(explanation(reportOf({}, 0, { history })).slice(-3), [
    '  history   (UTC)',
    '            12:30:05  0 → 1  cold-start, 1 request, 0 serve',
    '            12:30:05  1 → 0  its GPUs go to b',
  ]);
});

test('where the file gives the target, that is said', () => {
  assert.equal(
    ruleText({ ...rule, target: { ongoing: 4, source: 'config' } }),
    '1 to 3 replicas by load, 4 requests at each (target_ongoing_requests)',
  );
});
