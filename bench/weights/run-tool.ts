import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseStat } from '../measure/proc.ts';
import { Launched } from '../systems/process.ts';

export interface ToolRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Most memory that it ever had, in MiB. */
  readonly peakRssMib: number;
}

const lookEveryMs = 20;

interface Look {
  readonly cpuUs: number;
  readonly peakKib: number;
}

/** What the kernel says of a process; undefined once it is gone. */
async function look(pid: number): Promise<Look | undefined> {
  try {
    const [stat, status] = await Promise.all([readFile(`/proc/${pid}/stat`, 'latin1'), readFile(`/proc/${pid}/status`, 'utf8')]);
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    // One that has ended, and is not yet waited for, has no memory any more.
    return peak === undefined ? undefined : { cpuUs: parseStat(stat).cpuUs, peakKib: Number(peak) };
  } catch {
    // It ended between two looks: the last look counts.
    return undefined;
  }
}

/** Runs a program to its end. CPU and memory are those of its last look, at most 20 ms before. @throws Error with what it said, unless it ended with 0 */
export async function runTool(name: string, command: readonly [string, ...string[]], signal: AbortSignal): Promise<ToolRun> {
  const started = performance.now();
  const launched = await Launched.start(name, command, { ipc: false });
  let last: Look = { cpuUs: 0, peakKib: 0 };
  const ended = launched.exited.then(() => (performance.now() - started) / 1000);
  try {
    while (launched.running) {
      last = (await look(launched.pid)) ?? last;
      await Promise.race([ended, sleep(lookEveryMs, undefined, { signal })]);
    }
  } finally {
    await launched.stop(0);
  }
  const seconds = await ended;
  if (launched.child.exitCode !== 0) throw new Error(`${name} ended with ${launched.child.exitCode}: ${launched.output}`);
  return { seconds, cpuSeconds: last.cpuUs / 1e6, peakRssMib: last.peakKib / 1024 };
}
