import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { claimStateDir, closeToOthers } from '../../src/supervisor/state-dir.ts';

async function emptyDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-claim-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const claimer = `
  const { claimStateDir } = await import(${JSON.stringify(new URL('../../src/supervisor/state-dir.ts', import.meta.url).href)});
  try { claimStateDir(process.argv[1]); console.log('claimed'); setInterval(() => undefined, 1000); }
  catch (thrown) { console.log(thrown.code); }`;

/** Another process that claims `dir`; resolves with what it says. */
async function claimElsewhere(t: TestContext, dir: string): Promise<{ said: string; child: ChildProcess }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', claimer, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return { said: said.toString().trim(), child };
}

test('a second claim is refused and names the owner, by whatever path it comes', async (t) => {
  const dir = await emptyDir(t);
  const { child, said } = await claimElsewhere(t, dir);
  assert.equal(said, 'claimed');
  const expected = { code: 'already_running', message: new RegExp(`^The gateway with pid ${child.pid} runs on the state directory `) };
  assert.throws(() => claimStateDir(dir), expected);
  const link = `${dir}-link`;
  await symlink(dir, link);
  t.after(() => rm(link));
  assert.throws(() => claimStateDir(link), expected);
});

test('kill -9 of the owner frees the directory, with all its files still there', async (t) => {
  const dir = await emptyDir(t);
  const { child } = await claimElsewhere(t, dir);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const claim = claimStateDir(dir);
  assert.equal((JSON.parse(await readFile(join(dir, 'owner.json'), 'utf8')) as { pid: number }).pid, process.pid);
  claim.release();
});

test('within one process, too, a claim is one claim; given back, it can be taken again', async (t) => {
  const dir = await emptyDir(t);
  const first = claimStateDir(dir);
  assert.throws(() => claimStateDir(dir), { code: 'already_running' });
  first.release();
  first.release();
  claimStateDir(dir).release();
});

test('of many that start at once exactly one gets the directory', async (t) => {
  const dir = await emptyDir(t);
  const all = await Promise.all(Array.from({ length: 4 }, () => claimElsewhere(t, dir)));
  assert.deepEqual(all.map(({ said }) => said).sort(), ['already_running', 'already_running', 'already_running', 'claimed']);
});

test('an owner that has not said its name, or a former one, is not named', async (t) => {
  const dir = await emptyDir(t);
  const claim = claimStateDir(dir);
  t.after(() => claim.release());
  for (const word of ['', JSON.stringify({ pid: process.pid, startTime: 1, bootId: 'another boot' })]) {
    await writeFile(join(dir, 'owner.json'), word);
    assert.throws(() => claimStateDir(dir), { code: 'already_running', message: /^Another gateway runs on / });
  }
});

test('the directory is made, for its owner alone', async (t) => {
  const dir = join(await emptyDir(t), 'new', 'state');
  claimStateDir(dir).release();
  assert.equal((await stat(dir)).mode & 0o777, 0o700);
  assert.equal((await stat(join(dir, 'owner.json'))).mode & 0o777, 0o600);
});

test('a directory that cannot be one, and a lock that is none, are named', async (t) => {
  const dir = await emptyDir(t);
  const file = join(dir, 'file');
  await writeFile(file, '');
  assert.throws(() => claimStateDir(file), { code: 'state_unusable', message: new RegExp(`^Cannot use the state directory ${file}: `) });
  await mkdir(join(dir, 'owner.lock'));
  assert.throws(() => claimStateDir(dir), { code: 'state_unusable' });
});

async function modeOf(dir: string): Promise<string> {
  return ((await stat(dir)).mode & 0o7777).toString(8);
}

test('a used state directory that others can read is closed to them, with a warning; one that is shared or new is not touched', async (t) => {
  const used = await emptyDir(t);
  await mkdir(join(used, 'leases'));
  await chmod(used, 0o755);
  assert.match(closeToOthers(used) ?? '', /holds keys and could be read by other users \(mode 0755\); it is now 0700/);
  assert.equal(await modeOf(used), '700');
  assert.equal(closeToOthers(used), undefined, 'said once');
  await chmod(used, 0o1777);
  assert.equal(closeToOthers(used), undefined);
  assert.equal(await modeOf(used), '1777');
  const fresh = await emptyDir(t);
  await chmod(fresh, 0o755);
  assert.equal(closeToOthers(fresh), undefined);
  assert.equal(await modeOf(fresh), '755');
  assert.equal(closeToOthers(join(fresh, 'none')), undefined);
});

test('a directory that was deleted or replaced is claimed anew, unless somebody else has it by then', async (t) => {
  const dir = join(await emptyDir(t), 'state');
  const claim = claimStateDir(dir);
  assert.equal(claim.renew(), false);
  await rm(dir, { recursive: true });
  assert.equal(claim.renew(), true);
  assert.equal(claim.renew(), false);
  assert.throws(() => claimStateDir(dir), { code: 'already_running' });
  await rm(dir, { recursive: true });
  const other = claimStateDir(dir);
  assert.throws(() => claim.renew(), { code: 'already_running' });
  claim.release();
  assert.throws(() => claimStateDir(dir), { code: 'already_running' }, 'what was given back is not the lock of the other');
  other.release();
  claimStateDir(dir).release();
});
