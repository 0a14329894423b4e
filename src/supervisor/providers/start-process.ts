import { spawn } from 'node:child_process';
import { preferAsVictim, withKiller } from './oom.ts';
import type { OomCount } from './oom.ts';
import type { Exit } from './provider.ts';

/** A process that was just started, or was not. */
export interface Started {
  /** Undefined when there is no process. */
  readonly pid: number | undefined;
  readonly exited: Promise<Exit>;
  /** Resolves with the reason when there is none. */
  readonly failed: Promise<Error>;
  readonly letGo: () => void;
}

/**
 * A process in a session of its own, writing to `output` itself: a pipe would end with the gateway. Node's own spawn, not execa: execa
 * takes no file descriptor above 9, and all that it adds (buffering, clean-up at our exit, kill of one process) is wrong for a process
 * that must outlive its parent and is ended by its group.
 */
export function start(file: string, args: readonly string[], env: Record<string, string>, output: number, oom: OomCount): Started {
  const child = spawn(file, args, { stdio: ['ignore', output, output], detached: true, env });
  const failed = new Promise<Error>((resolve) => child.once('error', resolve));
  const before = oom.kills();
  if (child.pid !== undefined) preferAsVictim(child.pid);
  const exited = new Promise<Exit>((resolve) =>
    child.once('exit', (code, signal) => resolve(withKiller({ code, signal }, before, oom.kills()))),
  );
  return { pid: child.pid, exited, failed, letGo: () => child.unref() };
}
