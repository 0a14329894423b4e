import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

const pty = join(import.meta.dirname, 'terminal.py');

export const enter = '\r';
export const controlC = '\u0003';
export const controlD = '\u0004';

const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

/** Why tests at a terminal cannot run here; false where they can. In CI nothing may be skipped. */
export const skipTerminal: string | false =
  hasPython || process.env['CI'] !== undefined ? false : 'needs python3, whose pty module gives the terminal';

export interface Terminal {
  /** Resolves when what was printed since the last match matches; what came up to there is then behind. */
  shows(pattern: RegExp): Promise<void>;
  press(keys: string): void;
  readonly exited: Promise<number | null>;
  /** All there was, without colours and the like. */
  page(): string;
  /** All there was, byte for byte. */
  raw(): string;
}

/** Runs a command at a pseudo-terminal of 120 columns; it is killed when the test ends. */
export function atTerminal(
  t: TestContext,
  command: readonly [string, ...string[]],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Terminal {
  const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).stdout.trim();
  const child = spawn(python, [pty, ...command], { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  let seen = '';
  let behind = 0;
  child.stdout.setEncoding('utf8').on('data', (part: string) => (seen += part));
  return {
    async shows(pattern) {
      for (;;) {
        const page = stripVTControlCharacters(seen);
        const match = pattern.exec(page.slice(behind));
        if (match !== null) {
          behind += match.index + match[0].length;
          return;
        }
        if (child.exitCode !== null || child.signalCode !== null)
          assert.fail(`ended with ${child.exitCode ?? child.signalCode} before it showed ${pattern}:\n${page}`);
        await Promise.race([once(child.stdout, 'data'), exited]);
      }
    },
    press: (keys) => child.stdin.write(keys),
    exited,
    page: () => stripVTControlCharacters(seen),
    raw: () => seen,
  };
}
