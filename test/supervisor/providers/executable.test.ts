import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { activated, findExecutable } from '../../../src/supervisor/providers/executable.ts';

const sought = { executable: 'engine', install: 'Install it so.' };
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
  assert.equal(await findExecutable('engine', path(), sought), join(dir, 'b/engine'));
  assert.equal(await findExecutable('plain', path(), sought), join(dir, 'b/plain'), 'a file that cannot be run is passed over');
});

test('a name with a slash is that file, whatever PATH says', async () => {
  assert.equal(await findExecutable(join(dir, 'b/engine'), '', sought), join(dir, 'b/engine'));
});

const problems: readonly [what: string, command: string, message: RegExp][] = [
  ['not on PATH', 'nowhere', /^nowhere: not found on PATH \(.*\/a:.*\/b\)\. Install it so\.$/],
  ['on PATH, but not executable', 'text', /^text: not found on PATH \(.*\) \(.*\/a\/text: not executable\)\. Install it so\.$/],
  ['on PATH, but a directory', 'folder', /\(.*\/a\/folder: directory\)/],
];
for (const [what, command, message] of problems) {
  test(`missing: ${what}`, async () => {
    await assert.rejects(findExecutable(command, path(), sought), { code: 'engine_missing', message });
  });
}

test('missing: a long PATH is shown by its first directories', async () => {
  for (const [long, shown] of [
    ['/a:/b:/c', '(/a:/b:/c)'],
    ['/a:/b:/c:/d:/e', '(/a:/b:/c and 2 more)'],
    ['', '(empty)'],
  ] as const)
    await assert.rejects(findExecutable('nowhere', long, sought), {
      message: `nowhere: not found on PATH ${shown}. Install it so.`,
    });
});

test('missing: a path that does not exist, is a directory, or cannot be run', async () => {
  await assert.rejects(findExecutable('/no/such/engine', '', sought), {
    code: 'engine_missing',
    message: '/no/such/engine: no such file. Install it so.',
  });
  await assert.rejects(findExecutable(dir, '', sought), { code: 'engine_missing', message: /cannot be run \(directory\)/ });
  await assert.rejects(findExecutable(join(dir, 'a/text'), '', sought), {
    code: 'engine_missing',
    message: /cannot be run \(not executable\)/,
  });
});

const venv = (): string => join(dir, 'venv');

describe('a Python virtual environment', () => {
  before(async () => {
    await mkdir(join(venv(), 'bin'), { recursive: true });
    await writeFile(join(venv(), 'pyvenv.cfg'), 'home = /usr/bin\n');
  });

  test('means the engine’s program in it; one without says so', async () => {
    await assert.rejects(findExecutable(venv(), '', sought), {
      code: 'engine_missing',
      message: `${venv()}: a virtual environment without engine (${venv()}/bin/engine). Install it so.`,
    });
    await writeFile(join(venv(), 'bin', 'engine'), '#!/bin/sh\n', { mode: 0o755 });
    assert.equal(await findExecutable(venv(), '', sought), `${venv()}/bin/engine`);
  });

  test('is set for a program in it as its `activate` would, and for no other', () => {
    assert.deepEqual(activated(`${venv()}/bin/engine`, '/bin'), { VIRTUAL_ENV: venv(), PATH: `${venv()}/bin:/bin` });
    assert.deepEqual(activated(`${venv()}/bin/engine`, ''), { VIRTUAL_ENV: venv(), PATH: `${venv()}/bin` });
    assert.deepEqual(activated(join(dir, 'b/engine'), '/bin'), {});
  });
});
