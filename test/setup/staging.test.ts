import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { publish, sweep, withStage } from '../../setup/staging.mjs';
import { scratch } from './scratch.ts';

test('a stage is gone after its work, done or failed; what was published stays', async (t) => {
  const home = scratch(t);
  await withStage(home, async (stage) => {
    writeFileSync(join(stage, 'file'), 'whole');
    publish(join(stage, 'file'), join(home, 'file'));
  });
  await assert.rejects(
    withStage(home, async (stage) => {
      writeFileSync(join(stage, 'half'), '');
      throw new Error('cut off');
    }),
    /cut off/,
  );
  assert.deepEqual(readdirSync(home), ['file']);
});

test('publishing over a directory that is not empty replaces it whole, and leaves nothing beside it', async (t) => {
  const home = scratch(t);
  mkdirSync(join(home, 'engine'));
  writeFileSync(join(home, 'engine', 'old'), '');
  await withStage(home, async (stage) => {
    mkdirSync(join(stage, 'made'));
    writeFileSync(join(stage, 'made', 'new'), '');
    publish(join(stage, 'made'), join(home, 'engine'));
  });
  assert.deepEqual(readdirSync(join(home, 'engine')), ['new']);
  assert.deepEqual(readdirSync(home), ['engine']);
});

test('publishing over a file replaces it', async (t) => {
  const home = scratch(t);
  writeFileSync(join(home, 'launcher'), 'old');
  await withStage(home, async (stage) => {
    writeFileSync(join(stage, 'launcher'), 'new');
    publish(join(stage, 'launcher'), join(home, 'launcher'));
  });
  assert.equal(readFileSync(join(home, 'launcher'), 'utf8'), 'new');
});

test('what cannot be published is an error, not a loop', async (t) => {
  const home = scratch(t);
  await assert.rejects(
    withStage(home, async (stage) => publish(join(stage, 'missing'), join(home, 'x'))),
    { code: 'ENOENT' },
  );
});

test('a sweep takes the leftovers of ended processes, and keeps stages of running ones and everything else', (t) => {
  const home = scratch(t);
  const ended = spawnSync(process.execPath, ['-e', '']).pid;
  for (const name of [`.tmp-${ended}-abc`, `.tmp-${process.pid}-mine`, `.tmp-${process.pid}-old`, 'engine-sid', '.tmp-notes']) {
    mkdirSync(join(home, name));
    writeFileSync(join(home, name, 'file'), '');
  }
  const long = Date.now() / 1000 - 3 * 24 * 3600;
  utimesSync(join(home, `.tmp-${process.pid}-old`), long, long);
  sweep(home);
  assert.deepEqual(readdirSync(home).sort(), ['.tmp-notes', `.tmp-${process.pid}-mine`, 'engine-sid'].sort());
  sweep(join(home, 'not there'));
  assert.equal(existsSync(join(home, 'not there')), false);
});
