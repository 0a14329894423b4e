import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
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

async function text(file: string): Promise<string> {
  return await readFile(file, 'latin1').catch(() => '');
}

/**
 * Pids of the living processes of a replica: its group, and whoever carries its marker. Zombies do not count: they hold nothing.
 * Where there is no /proc (macOS) only the group can be seen, as its leader's pid.
 */
export async function livingMembers(family: Family): Promise<number[]> {
  const names = await readdir('/proc').catch(() => undefined);
  if (names === undefined) return family.pgid !== undefined && signalGroup(family.pgid, 0) ? [family.pgid] : [];
  const found = await Promise.all(
    names.filter(isPid).map(async (name) => {
      const stat = await text(`/proc/${name}/stat`);
      const environ = readStat(stat)?.pgid === family.pgid ? '' : await text(`/proc/${name}/environ`);
      return belongs(family, stat, () => environ) ? [Number(name)] : [];
    }),
  );
  return found.flat();
}

/** Living processes that carry any replica's marker, by its value. Empty where there is no /proc. */
export async function markedProcesses(): Promise<ReadonlyMap<string, readonly { readonly pid: number; readonly pgid: number }[]>> {
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names.filter(isPid).map(async (name) => {
      const replica = markerOf(await text(`/proc/${name}/environ`));
      if (replica === undefined) return [];
      const stat = readStat(await text(`/proc/${name}/stat`));
      return stat === undefined || stat.zombie ? [] : [{ replica, pid: Number(name), pgid: stat.pgid }];
    }),
  );
  return Map.groupBy(found.flat(), ({ replica }) => replica);
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
