import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { validateCost } from '../../bench/config/validate-cost.ts';

test('the cost of a large config is that of one that is valid, against its bare YAML and an empty process', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-bench-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const cost = await validateCost(20, 1, dir, AbortSignal.timeout(60_000));
  for (const [name, ms] of Object.entries({
    ...cost,
    loadOverParse: cost.loadOverParse.median,
    commandOverEmpty: cost.commandOverEmpty.median,
  }))
    assert.ok(ms > 0 && Number.isFinite(ms), `${name}: ${ms}`);
});
