import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runGateway, tempDir } from '../support/gateway-process.ts';

/** `gateway version` of a user with this home directory, and nothing else set that names one. */
const versionAt = (t: TestContext, home: string): ReturnType<typeof runGateway> => {
  t.diagnostic(`HOME=${home}`);
  return runGateway(['version'], undefined, { PATH: process.env['PATH'], HOME: home });
};

test("compiled modules are kept in the user's own cache directory, for this user alone", async (t) => {
  const home = await tempDir(t);
  assert.equal((await versionAt(t, home)).code, 0);
  const dir = join(home, '.cache/roundhouse/compiled');
  const [kept = ''] = await readdir(dir);
  assert.ok((await readdir(join(dir, kept))).length > 10, 'modules are kept');
  assert.equal((await stat(dir)).mode & 0o077, 0, 'nobody else may put code there');
});

test('where nothing can be kept, a command does its work all the same, and says nothing of it', async (t) => {
  const { code, stderr } = await versionAt(t, '/dev/null');
  assert.deepEqual([code, stderr], [0, '']);
});
