import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fake } from '../../src/plugins/fake/index.ts';
import type { StateReport } from '../../src/plugins/fake/engine/control.ts';

export type { StateReport };

export interface FakeEngine {
  /** Origin, e.g. `http://127.0.0.1:40001`. */
  readonly url: string;
  readonly apiKey: string;
  readonly servedName: string;
  readonly pid: number;
  /** Lines printed so far. */
  readonly log: readonly string[];
  /** Settles when the process has ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves at the first line, past or to come, that matches. Rejects when the log ends without. */
  line(pattern: RegExp): Promise<string>;
  /** A request with the engine's key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  state(): Promise<StateReport>;
  /** Changes settings at run time. */
  control(change: Readonly<Record<string, unknown>>): Promise<StateReport>;
  /** Kills the process group and waits for the process's end. */
  stop(): Promise<void>;
}

/** Where to leave what is to be undone: a test's context, or `fileCleanup()`. */
export interface Cleanup {
  after(undo: () => Promise<void>): void;
}

/** Undoes after all tests of the file: for what a `before` hook starts. (An `after` inside a hook runs right after the hook.) */
export function fileCleanup(): Cleanup {
  const undos: (() => Promise<void>)[] = [];
  after(async () => {
    for (const undo of undos.toReversed()) await undo();
  });
  return { after: (undo) => undos.push(undo) };
}

const servedName = 'fake-model';
const apiKey = 'key-of-the-fake-engine';

/**
 * Starts the fake engine directly, without a supervisor, on a free port, as the leader of a process group that is
 * killed after the test. `until`: the log line to wait for; listening is enough where it is not to become ready.
 * @param adapters paths of those it starts with.
 */
export async function startFake(
  options: Readonly<Record<string, unknown>>,
  t: Cleanup,
  until: 'listening' | 'ready' = 'ready',
  adapters: readonly string[] = [],
): Promise<FakeEngine> {
  const { child, log, exited } = launchFake(options, t, adapters);
  await log.line(until === 'ready' ? /^fake: ready/u : /^fake: listening/u);
  const url = (await log.line(/^fake: listening/u)).replace(/^.*listening on /u, '');
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${apiKey}`);
    return fetch(url + path, { ...init, headers });
  };
  const report = async (path: string, init?: RequestInit): Promise<StateReport> => {
    const response = await request(path, init);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text) as StateReport;
  };
  const { pid } = child;
  assert.ok(pid !== undefined);
  return {
    url,
    apiKey,
    servedName,
    pid,
    log: log.lines,
    exited,
    line: (pattern) => log.line(pattern),
    fetch: request,
    state: () => report('/fake/state'),
    control: (change) => report('/fake/control', { method: 'POST', body: JSON.stringify(change) }),
    stop: () => killGroup(child, exited),
  };
}

export interface LaunchedFake {
  readonly child: ChildProcess;
  readonly log: { readonly lines: readonly string[]; line(pattern: RegExp): Promise<string> };
  readonly exited: FakeEngine['exited'];
}

/** Only starts the process: for engines that end before they listen. */
export function launchFake(options: Readonly<Record<string, unknown>>, t: Cleanup, adapters: readonly string[] = []): LaunchedFake {
  const { args, env } = fake.configure(options).command({
    model: { kind: 'reference', value: servedName },
    servedName,
    port: 0,
    innerPort: 0,
    apiKey,
    stopGraceS: 5,
    adapters: adapters.map((path) => ({ handle: path, path })),
  });
  const child = spawn(process.execPath, args, { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  t.after(() => killGroup(child, exited));
  return { child, log: followLog(child), exited };
}

function followLog(child: ChildProcess): LaunchedFake['log'] {
  const { stdout } = child;
  assert.ok(stdout !== null);
  const lines: string[] = [];
  const reader = createInterface({ input: stdout });
  let ended = false;
  reader.on('line', (line) => lines.push(line));
  reader.on('close', () => {
    ended = true;
  });
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = lines.find((candidate) => pattern.test(candidate));
      if (found !== undefined) return found;
      assert.ok(!ended, `the fake engine's log ended without ${String(pattern)}:\n${lines.join('\n')}`);
      const settled = new AbortController();
      await Promise.race([once(reader, 'line', settled), once(reader, 'close', settled)]);
      settled.abort();
    }
  };
  return { lines, line };
}

async function killGroup(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.pid !== undefined) {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      // ESRCH: the whole group has ended already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  await exited;
}
