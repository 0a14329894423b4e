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

/** The value of the marker in the text of `/proc/<pid>/environ`; undefined where it has none. */
export function markerOf(environ: string): string | undefined {
  const prefix = `${markerName}=`;
  return environ
    .split('\0')
    .find((variable) => variable.startsWith(prefix))
    ?.slice(prefix.length);
}

/** Whether a name in `/proc` is a pid, other than our own. */
export const isOtherPid = (name: string): boolean => /^\d+$/.test(name) && Number(name) !== process.pid;

/** Whether a call failed because no descriptor was free, for this process or for the machine. */
export function lacksDescriptor(thrown: unknown): boolean {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
}

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
