import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';

export interface RunningProcess {
  readonly pid: number;
  readonly name: string;
  readonly command: string;
}

/** The living processes of a process group, zombies left out. */
export async function processesOf(group: number): Promise<readonly RunningProcess[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(pids.map(async (pid) => await inGroup(Number(pid), group)));
  return found.filter((process) => process !== undefined);
}

async function inGroup(pid: number, group: number): Promise<RunningProcess | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Its name stands in brackets and may hold any character; then state, parent and group.
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || Number(itsGroup) !== group) return undefined;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
    return { pid, name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), command };
  } catch (error) {
    // It ended while it was looked at.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A process that is none of the gateway's, with a group of its own; it ends with the test. */
export async function strangerProcess(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', `console.log('up'); setInterval(() => undefined, 1000)`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.ok(child.pid !== undefined);
  return child.pid;
}
