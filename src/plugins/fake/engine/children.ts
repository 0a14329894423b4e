import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url));

/** Children in the engine's own process group, as engines with one process a GPU have them. Each answers what it is sent. */
export function forkWorkers(count: number): readonly ChildProcess[] {
  return Array.from({ length: count }, () => spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }));
}

/** A child in a session of its own, which a signal to the engine's group does not reach. */
export function daemonise(): ChildProcess {
  const child = spawn(process.execPath, [script], { stdio: 'ignore', detached: true });
  child.unref();
  return child;
}
