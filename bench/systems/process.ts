import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const keptOutputBytes = 8192;

/** A process of the benchmark: in a group of its own, so that a Ctrl-C reaches the benchmark alone and stopping is in its hands. */
export class Launched {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<void>;
  #output = '';

  /** @throws Error when the program cannot be started. */
  static async start(
    name: string,
    command: readonly [string, ...string[]],
    options: { readonly ipc: boolean; readonly env?: NodeJS.ProcessEnv },
  ): Promise<Launched> {
    const [program, ...args] = command;
    const child = spawn(program, args, {
      detached: true,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc ? (['ipc'] as const) : [])],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(new Error(`${name} did not start: ${error.message}`, { cause: error })));
    });
    if (child.pid === undefined) throw new Error(`${name} did not start`);
    return new Launched(name, child, child.pid);
  }

  private constructor(name: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.child = child;
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-keptOutputBytes);
      });
    }
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** What it printed last. */
  get output(): string {
    return this.#output.trim();
  }

  /** SIGTERM, and SIGKILL if it still runs after `graceMs`; resolves when it has ended. */
  async stop(graceMs: number): Promise<void> {
    if (!this.running) return;
    this.child.kill('SIGTERM');
    const killing = setTimeout(() => this.child.kill('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(killing);
  }
}

/** A port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the loopback interface gave no port');
  return address.port;
}

/** Polls until `url` answers 200. @throws Error with the process's last output when it ends first or takes too long. */
export async function untilAnswering(url: string, launched: Launched, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (launched.running && performance.now() < deadline) {
    signal.throwIfAborted();
    const status = await fetch(url, { signal }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      // Refused: it does not listen yet, which is what this loop waits for.
      () => 0,
    );
    if (status === 200) return;
    await sleep(20, undefined, { signal });
  }
  const what = launched.running ? `did not answer 200 at ${url} within 30 s` : `ended before it answered at ${url}`;
  throw new Error(`${launched.name} ${what}; its last output:\n${launched.output || '(none)'}`);
}
