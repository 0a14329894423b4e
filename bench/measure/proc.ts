import { readdir, readFile } from 'node:fs/promises';

/** What `/proc/PID/stat` tells of a process. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of all its threads, ended ones included; counted in hundredths of a second. */
  readonly cpuUs: number;
}

/** USER_HZ: 100 on every Linux that Node runs on. */
const tickUs = 10_000;

/** Reads one line of `/proc/PID/stat`; the command in it may hold spaces and brackets. @throws Error for anything else. */
export function parseStat(line: string): ProcessStat {
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  // Counted from the state, which is field 3 of proc_pid_stat(5): parent 4, utime 14, stime 15.
  const stat = { pid, parent: Number(fields[1]), cpuUs: (Number(fields[11]) + Number(fields[12])) * tickUs };
  if (Object.values(stat).some(Number.isNaN)) throw new Error(`not a line of /proc/PID/stat: ${JSON.stringify(line.slice(0, 200))}`);
  return stat;
}

/** `root` and all that descend from it, without `except` and what descends from that. */
export function processTree(processes: readonly ProcessStat[], root: number, except: readonly number[]): readonly number[] {
  if (except.includes(root) || !processes.some((each) => each.pid === root)) return [];
  const children = processes.filter((each) => each.parent === root && each.pid !== root);
  return [root, ...children.flatMap((child) => processTree(processes, child.pid, except))];
}

/** CPU time used up to one moment. */
export interface CpuReading {
  /** Of the processes, from their stat files: coarse, but complete. */
  readonly processesUs: number;
  /** By thread, from their schedstat files: exact, but only of threads that live. Empty where the kernel has none. */
  readonly threadsUs: ReadonlyMap<string, number>;
}

/** Microseconds of CPU used between two readings: exact where no thread ended in between, else to a hundredth of a second. */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  const exact = before.threadsUs.size > 0 && [...before.threadsUs.keys()].every((thread) => after.threadsUs.has(thread));
  if (!exact) return after.processesUs - before.processesUs;
  let used = 0;
  for (const [thread, us] of after.threadsUs) used += us - (before.threadsUs.get(thread) ?? 0);
  return used;
}

/** Every process of the machine that can be seen. @throws Error where there is no `/proc`. */
export async function readProcesses(): Promise<readonly ProcessStat[]> {
  const entries = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const lines = await Promise.all(entries.map((pid) => readIfThere(`/proc/${pid}/stat`)));
  return lines.filter((line) => line !== undefined).map(parseStat);
}

export async function readCpu(pids: readonly number[]): Promise<CpuReading> {
  let processesUs = 0;
  const threadsUs = new Map<string, number>();
  for (const pid of pids) {
    processesUs += parseStat(await readFile(`/proc/${pid}/stat`, 'latin1')).cpuUs;
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const schedstat = await readIfThere(`/proc/${pid}/task/${thread}/schedstat`);
      if (schedstat !== undefined) threadsUs.set(`${pid}/${thread}`, Number.parseInt(schedstat, 10) / 1000);
    }
  }
  return { processesUs, threadsUs };
}

/** Resident memory of the processes together, in MiB; pages that they share count once each. */
export async function readRssMib(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(async (pid) => parseRssKib(await readFile(`/proc/${pid}/status`, 'latin1'))));
  return sizes.reduce((sum, kib) => sum + kib, 0) / 1024;
}

/** `VmRSS` of a `/proc/PID/status` page, in KiB. @throws Error where the page has none (a zombie). */
export function parseRssKib(status: string): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error('no VmRSS line in /proc/PID/status: the process has ended');
  return Number(kib);
}

/** Threads and processes may end between being listed and being read. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined;
    throw error;
  }
}
