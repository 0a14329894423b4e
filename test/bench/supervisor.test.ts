import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bareCrowdCost, crowdCost } from '../../bench/supervisor/crowd.ts';
import { planCost } from '../../bench/supervisor/plan-cost.ts';
import { processCost } from '../../bench/supervisor/processes.ts';
import { restCost } from '../../bench/supervisor/rest-cost.ts';

test('planning is measured on a plan that really plans and places', () => {
  const ms = planCost(20, 8);
  assert.ok(ms > 0 && Number.isFinite(ms), `${ms} ms`);
});

test(
  'replicas at rest are measured once all of them serve',
  { skip: process.platform === 'linux' ? false : 'it needs all of 127.0.0.0/8' },
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'roundhouse-bench-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const share = await restCost(3, 0.01, dir, AbortSignal.timeout(20_000));
    assert.ok(share >= 0 && Number.isFinite(share), `${share}`);
  },
);

test('the end of an engine is measured on engines that really run and die', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-bench-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const { restShare, exitMs, bareExitMs, adoptionMs } = await processCost(
    { replicas: 2, kills: 1, restMs: 10 },
    dir,
    AbortSignal.timeout(60_000),
  );
  assert.ok(restShare >= 0 && Number.isFinite(restShare), `${restShare}`);
  assert.ok(adoptionMs > 0 && Number.isFinite(adoptionMs), `${adoptionMs}`);
  for (const { median, longest } of [exitMs, bareExitMs]) assert.ok(median > 0 && longest >= median, `${median}, ${longest}`);
});

test('a crowd is measured on processes that really run and die together', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-bench-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const signal = AbortSignal.timeout(60_000);
  for (const { longest } of [await crowdCost(3, dir, signal), await bareCrowdCost(3, signal)])
    assert.ok(longest > 0 && Number.isFinite(longest), `${longest}`);
});
