import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { markerName } from './environment.ts';

/** How the processes of a replica are told from all others. */
export interface Family {
  /** Process group and session; the first process's id. */
  readonly pgid: number;
  /** Value of the environment marker. */
  readonly replica: string;
}

/** A process's state and process group, from the text of Linux's `/proc/<pid>/stat`; undefined where it is none. */
export function readStat(text: string): { readonly zombie: boolean; readonly pgid: number } | undefined {
  // The command's name, in parentheses, may itself hold spaces and parentheses.
  const [state, , pgid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const group = Number(pgid);
  return state === undefined || !Number.isInteger(group) ? undefined : { zombie: state === 'Z' || state === 'X', pgid: group };
}

/** Whether the text of `/proc/<pid>/environ` carries the marker of `replica`. */
export function hasMarker(environ: string, replica: string): boolean {
  return environ.split('\0').includes(`${markerName}=${replica}`);
}

function belongs(family: Family, stat: string, environ: () => string): boolean {
  const read = readStat(stat);
  if (read === undefined || read.zombie) return false;
  return read.pgid === family.pgid || hasMarker(environ(), family.replica);
}

const isPid = (name: string): boolean => /^\d+$/.test(name) && Number(name) !== process.pid;

/** Signals the whole group; false when there is none. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
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
  if (names === undefined) return signalGroup(family.pgid, 0) ? [family.pgid] : [];
  const found = await Promise.all(
    names.filter(isPid).map(async (name) => {
      const stat = await text(`/proc/${name}/stat`);
      const environ = readStat(stat)?.pgid === family.pgid ? '' : await text(`/proc/${name}/environ`);
      return belongs(family, stat, () => environ) ? [Number(name)] : [];
    }),
  );
  return found.flat();
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
