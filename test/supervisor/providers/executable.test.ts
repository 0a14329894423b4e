import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findExecutable } from '../../../src/supervisor/providers/executable.ts';

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'roundhouse-path-'));
  await mkdir(join(dir, 'a', 'folder'), { recursive: true });
  await mkdir(join(dir, 'b'));
  for (const file of ['a/plain', 'b/plain', 'b/engine', 'a/text']) await writeFile(join(dir, file), '#!/bin/sh\n');
  await chmod(join(dir, 'b/engine'), 0o755);
  await chmod(join(dir, 'b/plain'), 0o755);
});
after(() => rm(dir, { recursive: true, force: true }));

const path = (): string => `${join(dir, 'a')}:${join(dir, 'b')}`;

test('a bare name is the first executable of that name on PATH', async () => {
  assert.equal(await findExecutable('engine', path(), ''), join(dir, 'b/engine'));
  assert.equal(await findExecutable('plain', path(), ''), join(dir, 'b/plain'), 'a file that cannot be run is passed over');
});

test('a name with a slash is that file, whatever PATH says', async () => {
  assert.equal(await findExecutable(join(dir, 'b/engine'), '', ''), join(dir, 'b/engine'));
});

const problems: readonly [what: string, command: string, message: RegExp][] = [
  ['not on PATH', 'nowhere', /^nowhere: not found on PATH \(.*\/a:.*\/b\)\. Install it so\.$/],
  ['on PATH, but not executable', 'text', /^text: not found on PATH \(.*\) \(.*\/a\/text: not executable\)\. Install it so\.$/],
  ['on PATH, but a directory', 'folder', /\(.*\/a\/folder: directory\)/],
];
for (const [what, command, message] of problems) {
  test(`missing: ${what}`, async () => {
    await assert.rejects(findExecutable(command, path(), 'Install it so.'), { code: 'engine_missing', message });
  });
}

test('missing: a long PATH is shown by its first directories', async () => {
  for (const [long, shown] of [
    ['/a:/b:/c', '(/a:/b:/c)'],
    ['/a:/b:/c:/d:/e', '(/a:/b:/c and 2 more)'],
    ['', '(empty)'],
  ] as const)
    await assert.rejects(findExecutable('nowhere', long, 'Install it so.'), {
      message: `nowhere: not found on PATH ${shown}. Install it so.`,
    });
});

test('missing: a path that does not exist, is a directory, or cannot be run', async () => {
  const install = 'Install it so.';
  await assert.rejects(findExecutable('/no/such/engine', '', install), {
    code: 'engine_missing',
    message: '/no/such/engine: no such file. Install it so.',
  });
  await assert.rejects(findExecutable(dir, '', install), { code: 'engine_missing', message: /cannot be run \(directory\)/ });
  await assert.rejects(findExecutable(join(dir, 'a/text'), '', install), {
    code: 'engine_missing',
    message: /cannot be run \(not executable\)/,
  });
});
