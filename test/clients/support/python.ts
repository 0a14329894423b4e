import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** The Python that `npm run test:clients` has made ready, with the clients in it. */
function python(): string {
  const path = process.env['ROUNDHOUSE_TEST_CLIENTS'];
  if (path === undefined) throw new Error('ROUNDHOUSE_TEST_CLIENTS is not set; run npm run test:clients');
  return path;
}

/** Runs it to its end. @param env added to the test's own @returns what it printed on both streams */
export async function runPython(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(python(), args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, output: stdout + stderr };
}
