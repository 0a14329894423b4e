import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cpuBetween, parseRssKib, parseStat, processTree, readCpu } from '../../bench/measure/proc.ts';

const stat = (pid: number, parent: number): { pid: number; parent: number; cpuUs: number } => ({ pid, parent, cpuUs: 0 });

describe('parseStat', () => {
  test('finds the fields after a command with spaces and brackets', () => {
    const line = '4242 (a (b) c d) S 17 4242 4242 0 -1 4194304 2000 0 0 0 150 25 9 9 20 0 11 0 987654 1000000 2500 18446744073709551615';
    assert.deepEqual(parseStat(line), { pid: 4242, parent: 17, cpuUs: 1_750_000 });
  });

  for (const line of ['', '12', '12 (node) S', 'node (12) S 1 2 3']) {
    test(`refuses ${JSON.stringify(line)}`, () => {
      assert.throws(() => parseStat(line), /not a line of \/proc\/PID\/stat/);
    });
  }
});

describe('processTree', () => {
  const processes = [stat(1, 0), stat(10, 1), stat(11, 10), stat(12, 10), stat(13, 12), stat(20, 1)];

  test('is the root and its descendants only', () => {
    assert.deepEqual(new Set(processTree(processes, 10, [])), new Set([10, 11, 12, 13]));
  });

  test('leaves out the engine and what the engine started', () => {
    assert.deepEqual(new Set(processTree(processes, 10, [12])), new Set([10, 11]));
  });

  test('is empty when the root has ended or is itself left out', () => {
    assert.deepEqual(processTree(processes, 99, []), []);
    assert.deepEqual(processTree(processes, 10, [10]), []);
  });
});

const reading = (processesUs: number, threads: Record<string, number>) => ({ processesUs, threadsUs: new Map(Object.entries(threads)) });

describe('cpuBetween', () => {
  test('adds up what each thread used, and all of one that is new', () => {
    assert.equal(cpuBetween(reading(0, { a: 100, b: 50 }), reading(99_000, { a: 130, b: 55, c: 7 })), 42);
  });

  test('falls back to the processes when a thread has ended, as its time is gone with it', () => {
    assert.equal(cpuBetween(reading(10_000, { a: 100, b: 9000 }), reading(30_000, { a: 130 })), 20_000);
  });

  test('falls back to the processes where the kernel counts no threads', () => {
    assert.equal(cpuBetween(reading(10_000, {}), reading(40_000, {})), 30_000);
  });
});

test(
  'the CPU time of this process is seen to grow by what it uses',
  { skip: process.platform === 'linux' ? false : 'reads /proc' },
  async () => {
    const before = await readCpu([process.pid]);
    const started = process.cpuUsage();
    let spent = 0;
    while (spent < 50_000) {
      const { user, system } = process.cpuUsage(started);
      spent = user + system;
    }
    const used = cpuBetween(before, await readCpu([process.pid]));
    assert.ok(used >= 40_000, `${used} µs seen of at least 50000 used`);
  },
);

test('RSS is read from a status page, and its absence is an error', () => {
  assert.equal(parseRssKib('Name:\tnode\nVmHWM:\t  99999 kB\nVmRSS:\t   81234 kB\nRssAnon:\t 4 kB\n'), 81_234);
  assert.throws(() => parseRssKib('Name:\tnode\nState:\tZ (zombie)\n'), /has ended/);
});
