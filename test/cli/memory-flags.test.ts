import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { favouring, memoryFlags, toldFavour } from '../../src/cli/memory-flags.ts';

test('this Node.js knows every flag that keeps memory small', async () => {
  const flags = memoryFlags([], 'fetch');
  assert.ok(flags.length > 0);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, '-p', '40 + 2']);
  assert.deepEqual([stdout, stderr], ['42\n', '']);
});

test('what V8 was told at the start holds, of each matter by itself', () => {
  const all = memoryFlags(['--enable-source-maps', ''], 'fetch');
  for (const [told, gone] of [
    ['--max-semi-space-size=16', /semi-space/],
    ['--trace-warnings --maglev', /maglev/],
    ['--no-optimize-for-size', /optimize-for-size/],
    ['--liftoff --wasm-tier-up', /wasm/],
    ['--allocation-site-pretenuring', /pretenuring/],
  ] as const) {
    assert.ok(all.some((flag) => gone.test(flag)));
    assert.deepEqual(
      memoryFlags([told], 'fetch'),
      all.filter((flag) => !gone.test(flag)),
    );
  }
});

test('what serves for days favours memory only where it is told to', async () => {
  const fetching = memoryFlags([], 'fetch');
  const ofFetches = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering', favouring('memory')];
  assert.ok(ofFetches.every((flag) => fetching.includes(flag)));
  assert.deepEqual(
    memoryFlags([], 'serve'),
    fetching.filter((flag) => !ofFetches.includes(flag)),
  );
  assert.ok(!toldFavour(['--enable-source-maps', '--max-semi-space-size=16']));
  for (const kind of ['memory', 'time'] as const) {
    assert.ok(toldFavour(['', favouring(kind)]));
    await promisify(execFile)(process.execPath, [favouring(kind), '-p', '0']);
  }
});
