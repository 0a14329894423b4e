import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { markerName } from './environment.ts';

/** How the processes of a replica are told from all others. */
export interface Family {
  /** Process group and session, the first process's id; undefined where that group may by now be somebody else's. */
  readonly pgid: number | undefined;
  /** Value of the environment marker. */
  readonly replica: string;
}

/** What `/proc/<pid>/stat` tells. */
export interface ProcessStat {
  readonly zombie: boolean;
  readonly pgid: number;
  /** Clock ticks (10 ms) from the machine's boot to the process's start: with the pid, it means one process and no other of this boot. */
  readonly startTime: number;
}

/** Reads the text of Linux's `/proc/<pid>/stat`; undefined where it is none. */
export function readStat(text: string): ProcessStat | undefined {
  // The command's name, in parentheses, may itself hold spaces and parentheses. Fields 3, 5 and 22 of proc_pid_stat(5).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, pgid, startTime] = [fields[0], Number(fields[2]), Number(fields[19])];
  if (state === undefined || !Number.isInteger(pgid) || !Number.isInteger(startTime)) return undefined;
  return { zombie: state === 'Z' || state === 'X', pgid, startTime };
}

function markerOf(environ: string): string | undefined {
  const prefix = `${markerName}=`;
  return environ
    .split('\0')
    .find((variable) => variable.startsWith(prefix))
    ?.slice(prefix.length);
}

/** Whether the text of `/proc/<pid>/environ` carries the marker of `replica`. */
export function hasMarker(environ: string, replica: string): boolean {
  return markerOf(environ) === replica;
}

function belongs(family: Family, stat: string, environ: () => string): boolean {
  const read = readStat(stat);
  if (read === undefined || read.zombie) return false;
  return read.pgid === family.pgid || hasMarker(environ(), family.replica);
}

const isPid = (name: string): boolean => /^\d+$/.test(name) && Number(name) !== process.pid;

/** Signals the whole group; false when there is none. */
export function signalGroup(pgid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pgid === undefined) return false;
  try {
    process.kill(-pgid, signal);
    return true;
  } catch (thrown) {
    // EPERM: members exist, but none may be signalled. Only ESRCH says that nobody is there.
    return (thrown as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Signals one process, if it is still there. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile, which is what signals are for here.
  }
}

/** Processes that are looked at together: each look holds a descriptor, of which there may be few (`ulimit -n`) where processes are many. */
const together = 8;
const retryMs = 20;

/** Asks until a descriptor is free for it: what could not be looked at must not pass for gone. */
async function withDescriptor<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
      await sleep(retryMs);
    }
  }
}

/** Empty where the process has ended, or may not be looked into. */
async function text(file: string): Promise<string> {
  return await withDescriptor(() => readFile(file, 'latin1')).catch(() => '');
}

/** Names in `/proc` that are pids, but for our own; undefined where there is no /proc. */
async function otherPids(): Promise<readonly string[] | undefined> {
  const names = await withDescriptor(() => readdir('/proc')).catch(() => undefined);
  return names?.filter(isPid);
}

async function ofEach<T>(pids: readonly string[], look: (pid: string) => Promise<readonly T[]>): Promise<T[]> {
  const found: T[] = [];
  for (let first = 0; first < pids.length; first += together)
    found.push(...(await Promise.all(pids.slice(first, first + together).map(look))).flat());
  return found;
}

/**
 * Pids of the living processes of a replica: its group, and whoever carries its marker. Zombies do not count: they hold nothing.
 * Where there is no /proc (macOS) only the group can be seen, as its leader's pid.
 */
export async function livingMembers(family: Family): Promise<number[]> {
  const pids = await otherPids();
  if (pids === undefined) return family.pgid !== undefined && signalGroup(family.pgid, 0) ? [family.pgid] : [];
  return await ofEach(pids, async (pid) => {
    const stat = await text(`/proc/${pid}/stat`);
    const environ = readStat(stat)?.pgid === family.pgid ? '' : await text(`/proc/${pid}/environ`);
    return belongs(family, stat, () => environ) ? [Number(pid)] : [];
  });
}

/** Living processes that carry any replica's marker, by its value. Empty where there is no /proc. */
export async function markedProcesses(): Promise<ReadonlyMap<string, readonly { readonly pid: number; readonly pgid: number }[]>> {
  const found = await ofEach((await otherPids()) ?? [], async (pid) => {
    const replica = markerOf(await text(`/proc/${pid}/environ`));
    if (replica === undefined) return [];
    const stat = readStat(await text(`/proc/${pid}/stat`));
    return stat === undefined || stat.zombie ? [] : [{ replica, pid: Number(pid), pgid: stat.pgid }];
  });
  return Map.groupBy(found, ({ replica }) => replica);
}

function textNow(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** As `livingMembers()` and SIGKILL to each, without waiting for anything: for a process that is about to end. */
export function killMembersNow(families: readonly Family[]): void {
  for (const { pgid } of families) signalGroup(pgid, 'SIGKILL');
  let names: string[];
  try {
    names = readdirSync('/proc').filter(isPid);
  } catch {
    return;
  }
  for (const name of names) {
    const stat = textNow(`/proc/${name}/stat`);
    if (families.some((family) => belongs(family, stat, () => textNow(`/proc/${name}/environ`)))) signalProcess(Number(name), 'SIGKILL');
  }
}
