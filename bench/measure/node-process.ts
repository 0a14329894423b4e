import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/**
 * Runs Node.js to its end, as of a user with this home directory.
 * @returns what it printed @throws Error for another exit code than 0; the signal's reason
 */
export async function runNode(args: readonly string[], home: string, signal: AbortSignal): Promise<string> {
  const env = { ...process.env, HOME: home, XDG_STATE_HOME: home, XDG_CACHE_HOME: home };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], signal, env });
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`);
  return printed;
}
