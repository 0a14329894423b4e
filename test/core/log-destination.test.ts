import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import pino from 'pino';
import { openLogDestination } from '../../src/core/log-destination.ts';

const noDevFull = process.platform === 'linux' ? false : 'there is no /dev/full here';

test('a full disk costs log lines, which are counted, and neither the process nor its memory', { skip: noDevFull }, () => {
  let dropped = 0;
  const destination = openLogDestination('/dev/full', () => (dropped += 1));
  const log = pino({ base: null }, destination);
  for (let line = 0; line < 2000; line += 1) log.info('x'.repeat(100));
  assert.ok(dropped > 1000, `${dropped} lines dropped`);
});

test('a file that cannot be written is told of at once', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-log-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  for (const file of [dir, join(dir, 'a-file', 'gateway.log')]) {
    await writeFile(join(dir, 'a-file'), '');
    assert.throws(() => openLogDestination(file, () => undefined), {
      code: 'state_unusable',
      message: new RegExp(`^The log ${file} cannot be written: .*gateway\\.log\\.file`, 'u'),
    });
  }
});

test('what can be written is, and the folder is made', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-log-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  let dropped = 0;
  const log = pino(
    { base: null },
    openLogDestination(join(dir, 'made', 'gateway.log'), () => (dropped += 1)),
  );
  log.info('first');
  log.info('second');
  assert.match(await readFile(join(dir, 'made', 'gateway.log'), 'utf8'), /"first"\}\n.*"second"\}\n$/u);
  assert.equal(dropped, 0);
});
