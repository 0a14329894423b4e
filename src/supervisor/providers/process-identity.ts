import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Clock } from '../../core/clock.ts';
import { readStat } from './processes.ts';
import type { Exit } from './provider.ts';

/** One process and no other, over reuse of pids and restarts of the machine. */
export interface ProcessIdentity {
  readonly pid: number;
  /** As in `/proc/<pid>/stat`: clock ticks after the machine's boot. */
  readonly startTime: number;
  /** Linux's random id of the machine's present boot. */
  readonly bootId: string;
}

/** The id of this boot of the machine; undefined where there is no /proc (macOS). */
export function readBootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return undefined;
  }
}

/** The identity of the process that has `pid` now; undefined where there is none, or no /proc. */
export function identify(pid: number): ProcessIdentity | undefined {
  const bootId = readBootId();
  try {
    const stat = readStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return bootId === undefined || stat === undefined || stat.zombie ? undefined : { pid, startTime: stat.startTime, bootId };
  } catch {
    return undefined;
  }
}

/** Whether that very process lives; a zombie does not. */
export function lives(identity: ProcessIdentity): boolean {
  const found = identify(identity.pid);
  return found?.startTime === identity.startTime && found.bootId === identity.bootId;
}

/** Clock ticks a second of `startTime`: USER_HZ, 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** Milliseconds since the process started; 0 where that cannot be told. */
export function ageMs({ startTime }: ProcessIdentity): number {
  try {
    const uptimeS = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    return Math.max(0, (uptimeS - startTime / ticksPerSecond) * 1000);
  } catch {
    return 0;
  }
}

const zero = '0'.charCodeAt(0);

/**
 * Holds on to a process that is not our child, so that its end can be seen. An open file of /proc belongs to the process, not to its
 * number: it never tells of another one that got the pid later.
 */
export class ProcessHold {
  readonly #file: number;
  readonly #buffer = Buffer.alloc(128);
  #open = true;

  private constructor(file: number) {
    this.#file = file;
  }

  /** Undefined when that very process does not live. */
  static take(identity: ProcessIdentity): ProcessHold | undefined {
    let hold: ProcessHold;
    try {
      // Its size in memory, which is 0 once it has ended: a third of what it costs to read `stat`.
      hold = new ProcessHold(openSync(`/proc/${identity.pid}/statm`, 'r'));
    } catch {
      return undefined;
    }
    // Asked after the file was opened: if this is the process, so was that.
    if (lives(identity) && hold.alive()) return hold;
    hold.close();
    return undefined;
  }

  /** False once it has ended, and after `close()`. */
  alive(): boolean {
    if (!this.#open) return false;
    try {
      return readSync(this.#file, this.#buffer, 0, this.#buffer.length, 0) > 0 && this.#buffer[0] !== zero;
    } catch {
      // ESRCH: it has ended, and was collected.
      return false;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#file);
  }
}

/** Between two looks at whether an engine that is not our child lives. */
const exitPollMs = 50;

/** Resolves when a process that is not our child has ended, or was let go. */
export function untilEnded(hold: ProcessHold, clock: Clock): Promise<Exit> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (hold.alive()) {
        clock.after(exitPollMs, look);
        return;
      }
      hold.close();
      resolve({ code: null, signal: null });
    };
    look();
  });
}
