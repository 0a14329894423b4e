import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { ProcessCensus } from '../../../src/supervisor/providers/census.ts';
import { isAlive } from '../support/real.ts';

const source = (name: string): string => JSON.stringify(new URL(`../../../src/supervisor/providers/${name}.ts`, import.meta.url).href);
const onLinux = { skip: process.platform === 'linux' ? false : 'no /proc' };

function crowd(t: TestContext, size: number): void {
  const children = Array.from({ length: size }, () => spawn('sleep', ['60'], { stdio: 'ignore' }));
  t.after(() => children.forEach((child) => child.kill('SIGKILL')));
}

/** A process with a replica's marker, or none, in a session of its own. */
async function member(t: TestContext, replica?: string): Promise<number> {
  const env = replica === undefined ? {} : { ROUNDHOUSE_REPLICA: replica };
  const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true, env: { PATH: process.env['PATH'], ...env } });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  assert.ok(child.pid !== undefined);
  return child.pid;
}

/** Runs `script` with no more descriptors than `files`; what it printed. */
async function withFew(files: number, script: string): Promise<unknown> {
  const args = [`--nofile=${files}:${files}`, process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)('prlimit', args);
  return JSON.parse(stdout) as unknown;
}

test('all who ask at once get their own processes, by group or by marker', onLinux, async (t) => {
  const [one, other, plain] = [await member(t, 'census-0-00000001'), await member(t, 'census-0-00000002'), await member(t)];
  const census = new ProcessCensus();
  const found = await Promise.all([
    census.livingMembers({ pgid: undefined, replica: 'census-0-00000001' }),
    census.livingMembers({ pgid: other, replica: 'census-0-00000002' }),
    census.livingMembers({ pgid: plain, replica: 'census-0-00000003' }),
    census.livingMembers({ pgid: undefined, replica: 'census-0-00000004' }),
    census.livingMembers({ pgid: undefined, replica: 'census-0-00000001' }),
  ]);
  assert.deepEqual(found, [[one], [other], [plain], [], [one]]);
});

test('who asks during a look gets the answer of a later one', onLinux, async (t) => {
  const census = new ProcessCensus();
  const early = census.livingMembers({ pgid: undefined, replica: 'census-0-00000005' });
  const pid = await member(t, 'census-0-00000005');
  const late = census.livingMembers({ pgid: undefined, replica: 'census-0-00000005' });
  await early;
  assert.deepEqual(await late, [pid]);
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await census.livingMembers({ pgid: pid, replica: 'census-0-00000005' }), []);
});

test('of many processes none is missed where few descriptors are to be had', onLinux, async (t) => {
  crowd(t, 120);
  const script = `import { ProcessCensus } from ${source('census')};
    const { spawn } = await import('node:child_process');
    const env = { PATH: process.env.PATH, ROUNDHOUSE_REPLICA: 'one' };
    const members = Array.from({ length: 3 }, () => spawn('sleep', ['60'], { stdio: 'ignore', env }));
    const found = await new ProcessCensus().livingMembers({ pgid: undefined, replica: 'one' });
    console.log(JSON.stringify([found.length, found.every((pid) => members.some((member) => member.pid === pid))]));
    for (const member of members) member.kill('SIGKILL');`;
  assert.deepEqual(await withFew(64, script), [3, true]);
});

/** Takes every descriptor there is, then kills what carries the marker `one` without waiting. */
const killWithNone = (spare: string): string => `import { killMembersNow, SpareDescriptor } from ${source('kill-now')};
    const { spawn } = await import('node:child_process');
    const { openSync, writeSync } = await import('node:fs');
    const env = { PATH: process.env.PATH, ROUNDHOUSE_REPLICA: 'one' };
    const members = Array.from({ length: 3 }, () => spawn('sleep', ['60'], { stdio: 'ignore', env }));
    const ended = Promise.all(members.map((member) => new Promise((resolve) => member.once('exit', (_, signal) => resolve(signal)))));
    const spare = new SpareDescriptor();
    ${spare}
    try { for (;;) openSync('/dev/null'); } catch {}
    const missed = killMembersNow([{ pgid: undefined, replica: 'one' }], spare);
    for (const member of members) if (missed > 0) member.kill('SIGKILL');
    console.log(JSON.stringify({ missed, ends: await ended }));`;
const killed = ['SIGKILL', 'SIGKILL', 'SIGKILL'];

test('what is killed without waiting is found with the spare descriptor where no other is left', onLinux, async () => {
  assert.deepEqual(await withFew(64, killWithNone('')), { missed: 0, ends: killed });
});

test('where even that one is taken, it is told that not all could be looked at', onLinux, async () => {
  const { missed } = (await withFew(64, killWithNone('spare.give();'))) as { missed: number };
  assert.equal(missed, 1, 'the list of processes itself');
});
