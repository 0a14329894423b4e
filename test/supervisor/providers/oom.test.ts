import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OomCount, oomFiles, preferAsVictim, readOomKills, withKiller } from '../../../src/supervisor/providers/oom.ts';

const killed = { code: null, signal: 'SIGKILL' } as const;

test('the count of kills is read from both kinds of cgroup files, and from nothing else', () => {
  assert.equal(readOomKills('low 0\nhigh 0\nmax 3\noom 2\noom_kill 7\noom_group_kill 1\n'), 7);
  assert.equal(readOomKills('oom_kill_disable 0\nunder_oom 0\noom_kill 2\n'), 2);
  assert.equal(readOomKills('oom_kill_disable 0\nunder_oom 0\n'), undefined);
});

test('the files are those of the cgroup of the process, then those of a container', () => {
  assert.deepEqual(oomFiles('0::/user.slice/a.scope\n'), [
    '/sys/fs/cgroup/user.slice/a.scope/memory.events',
    '/sys/fs/cgroup/memory.events',
  ]);
  assert.deepEqual(oomFiles('5:cpu,cpuacct:/x\n4:memory:/docker/1\n'), [
    '/sys/fs/cgroup/memory/docker/1/memory.oom_control',
    '/sys/fs/cgroup/memory/memory.oom_control',
  ]);
});

test('who sent a SIGKILL is told by the count, and unknown without one', () => {
  assert.deepEqual(withKiller(killed, 2, 3), { ...killed, killer: 'out-of-memory' });
  assert.deepEqual(withKiller(killed, 2, 2), { ...killed, killer: 'somebody' });
  assert.deepEqual(withKiller(killed, undefined, 3), { ...killed, killer: 'unknown' });
  const exit = { code: 1, signal: null };
  assert.equal(withKiller(exit, 2, 3), exit);
});

test('here the count never falls, where there is one', () => {
  const count = new OomCount();
  const first = count.kills();
  const again = count.kills();
  assert.equal(again === undefined, first === undefined, 'the file that was found is read again');
  assert.ok(first === undefined || again === undefined || (first >= 0 && again >= first));
});

test('an engine is made a likelier victim than the gateway', { skip: process.platform !== 'linux' && 'Linux only' }, async (t) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.pid !== undefined);
  preferAsVictim(child.pid);
  assert.equal(readFileSync(`/proc/${child.pid}/oom_score_adj`, 'utf8').trim(), '500');
  assert.doesNotThrow(() => preferAsVictim(2 ** 22 + 1));
});
