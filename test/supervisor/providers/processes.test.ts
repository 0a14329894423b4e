import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { hasMarker, readStat } from '../../../src/supervisor/providers/processes.ts';

const moduleUrl = new URL('../../../src/supervisor/providers/processes.ts', import.meta.url).href;

test('the state, group and start of a process, whatever its name', () => {
  const rest = '0 -1 4194560 5 0 0 0 2 0 0 0 20 0 1 0 661372 5124096';
  assert.deepEqual(readStat(`42 (engine) S 1 40 40 ${rest}`), { zombie: false, pgid: 40, startTime: 661_372 });
  assert.deepEqual(readStat(`42 (a) b) Z 1 2 (x) Z 1 77 77 ${rest}`), { zombie: true, pgid: 77, startTime: 661_372 });
  assert.equal(readStat(''), undefined);
  assert.equal(readStat('42 (engine) S 1 40 40 0'), undefined);
});

test('the marker is one whole variable', () => {
  assert.equal(hasMarker('A=1\0ROUNDHOUSE_REPLICA=demo-0-ab\0B=2\0', 'demo-0-ab'), true);
  assert.equal(hasMarker('A=1\0ROUNDHOUSE_REPLICA=demo-0-abc\0', 'demo-0-ab'), false);
  assert.equal(hasMarker('XROUNDHOUSE_REPLICA=demo-0-ab\0', 'demo-0-ab'), false);
});

test(
  'of many processes none is missed where few descriptors are to be had',
  { skip: process.platform === 'linux' ? false : 'no /proc' },
  async (t) => {
    const crowd = Array.from({ length: 120 }, () => spawn('sleep', ['60'], { stdio: 'ignore' }));
    t.after(() => crowd.forEach((child) => child.kill('SIGKILL')));
    const script = `import { livingMembers } from ${JSON.stringify(moduleUrl)};
    const { spawn } = await import('node:child_process');
    const members = Array.from({ length: 3 }, () => spawn('sleep', ['60'], { stdio: 'ignore', env: { PATH: process.env.PATH, ROUNDHOUSE_REPLICA: 'one' } }));
    const found = await livingMembers({ pgid: undefined, replica: 'one' });
    console.log(JSON.stringify([found.length, found.every((pid) => members.some((member) => member.pid === pid))]));
    for (const member of members) member.kill('SIGKILL');`;
    const { stdout } = await promisify(execFile)('prlimit', ['--nofile=64:64', process.execPath, '--input-type=module', '-e', script]);
    assert.deepEqual(JSON.parse(stdout), [3, true]);
  },
);
