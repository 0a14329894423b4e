import { readFileSync, writeFileSync } from 'node:fs';
import type { Exit } from './provider.ts';

/** Of −1000 to 1000: the kernel takes an engine before the gateway, which holds everybody's requests. */
const engineScore = 500;

/**
 * Makes a process, and all that it will start, the first to be killed when memory is short. To raise the figure is allowed to every owner;
 * where the system has no such figure, nothing happens.
 */
export function preferAsVictim(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(engineScore));
  } catch {
    // The process has ended already, or this is not Linux.
  }
}

/** The count of kills in the text of a cgroup's `memory.events` (v2) or `memory.oom_control` (v1); undefined where it is not there. */
export function readOomKills(text: string): number | undefined {
  const [, count] = /^oom_kill (\d+)$/m.exec(text) ?? [];
  return count === undefined ? undefined : Number(count);
}

/** Files that may hold the count for the cgroup that `/proc/self/cgroup` names. */
export function oomFiles(cgroups: string): readonly string[] {
  return cgroups.split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    // In a container the path is often that of the host, while its own cgroup is mounted as the root.
    if (controllers === '') return [`/sys/fs/cgroup${path}/memory.events`, '/sys/fs/cgroup/memory.events'];
    if (!controllers.split(',').includes('memory')) return [];
    return [`/sys/fs/cgroup/memory${path}/memory.oom_control`, '/sys/fs/cgroup/memory/memory.oom_control'];
  });
}

/**
 * How many processes of the gateway's cgroup (engines start in it) the kernel has killed for want of memory. It is asked at each start and
 * end of an engine, so that the file is looked for once: a crowd of engines that end together is not kept waiting.
 */
export class OomCount {
  #file: string | undefined;

  /** Undefined where it is not to be known. */
  kills(): number | undefined {
    const kills = this.#file === undefined ? undefined : readOptional(this.#file);
    return kills ?? this.#find();
  }

  #find(): number | undefined {
    try {
      for (const file of oomFiles(readFileSync('/proc/self/cgroup', 'utf8'))) {
        const kills = readOptional(file);
        if (kills === undefined) continue;
        this.#file = file;
        return kills;
      }
    } catch {
      // No such file system: not Linux, or a hardened container.
    }
    return undefined;
  }
}

function readOptional(file: string): number | undefined {
  try {
    return readOomKills(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** What a SIGKILL that was not ours was. `before`, `after`: `oomKills()` when the process started and when it ended. */
export function withKiller(exit: Exit, before: number | undefined, after: number | undefined): Exit {
  if (exit.signal !== 'SIGKILL') return exit;
  const killer = before === undefined || after === undefined ? 'unknown' : after > before ? 'out-of-memory' : 'somebody';
  return { ...exit, killer };
}
