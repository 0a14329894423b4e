import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { run } from '../child.mjs';

const limitMs = 60_000;
const pollMs = 50;
/** How long after a failed request the engine's own end is still waited for. */
const deathNoticeMs = 500;
const replyShape = z.object({ content: z.string() });

/**
 * Tries an engine for real: it must load the model and complete a token. A build for another CPU passes `--version` and dies at the first
 * matrix product, so less would not do.
 *
 * @returns the engine's version, as it says it
 * @throws saying how it failed, with the engine's last lines; nothing is left running
 */
export async function tryEngine(server: string, model: string, signal: AbortSignal): Promise<string> {
  const said = await run(server, ['--version'], { signal, timeoutMs: limitMs });
  const version = said.split('\n').find((line) => line.includes('version')) ?? said.split('\n', 1).join('');
  const port = await freePort();
  const trial = new AbortController();
  const args = ['-m', model, '--host', '127.0.0.1', '--port', String(port), '-np', '1', '-c', '256', '-t', '1', '-tb', '1'];
  // A key from the user's environment would make it ask for one.
  const env = { ...process.env, LLAMA_API_KEY: '' };
  const ended = serve(server, args, env, trial.signal);
  const limit = AbortSignal.timeout(limitMs);
  try {
    await Promise.race([ended, completeOneToken(`http://127.0.0.1:${port}`, AbortSignal.any([signal, limit]))]);
  } catch (thrown) {
    signal.throwIfAborted();
    if (limit.aborted) throw new Error(`it did not serve the model within ${limitMs / 1000} s`, { cause: thrown });
    // A broken connection is what is seen first of an engine that dies, and explains nothing.
    await Promise.race([ended, sleep(deathNoticeMs, undefined, { ref: false })]);
    throw thrown;
  } finally {
    trial.abort();
    await ended.catch(() => undefined);
  }
  return version;
}

/** Runs until aborted, then kills; rejects if the program ends by itself. */
async function serve(server: string, args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const child = spawn(server, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output = (output + chunk).slice(-4096)));
  signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  const [code, endedBy] = z.tuple([z.number().nullable(), z.string().nullable()]).parse(await once(child, 'close'));
  if (signal.aborted) return;
  const last = output.trim().split('\n').slice(-2).join(' | ');
  throw new Error(`it ended with ${endedBy ?? `code ${code}`} instead of serving the model: ${last}`);
}

async function completeOneToken(url: string, signal: AbortSignal): Promise<void> {
  while (!(await healthy(url, signal))) await sleep(pollMs, undefined, { signal });
  const response = await fetch(`${url}/completion`, { method: 'POST', body: JSON.stringify({ prompt: 'Once', n_predict: 1 }), signal });
  if (!response.ok) throw new Error(`it answered a completion with status ${response.status}: ${(await response.text()).slice(0, 200)}`);
  replyShape.parse(await response.json());
}

async function healthy(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal });
    await response.arrayBuffer();
    return response.ok;
  } catch (thrown) {
    signal.throwIfAborted();
    // Not listening yet; if it ended, `serve` says so.
    if (thrown instanceof TypeError) return false;
    throw thrown;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}
