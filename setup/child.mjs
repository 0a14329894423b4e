import { spawn } from 'node:child_process';
import { endingSignals, exitCodeOf } from './interrupt.mjs';

/** Output kept to explain a failure. */
const keptCharacters = 16_384;
/** From SIGTERM to SIGKILL for a program that was told to stop. */
const stopGraceMs = 3000;

/**
 * Runs a program, unseen, to its end.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ signal: AbortSignal, cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} options
 * @returns {Promise<string>} the end of what it printed on either stream, at most 16 KB
 * @throws naming the program, how it ended and what it said last; `signal.reason` if aborted, once the program has ended
 */
export function run(command, args, { signal, cwd, env, timeoutMs }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (chunk) => (output = (output + chunk).slice(-keptCharacters)));
    }
    /** @type {NodeJS.Timeout | undefined} */
    let killer;
    const stop = () => {
      child.kill('SIGTERM');
      killer ??= setTimeout(() => child.kill('SIGKILL'), stopGraceMs);
    };
    const expire = () => {
      timedOut = true;
      stop();
    };
    const limit = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
    signal.addEventListener('abort', stop, { once: true });
    const settled = () => {
      clearTimeout(limit);
      clearTimeout(killer);
      signal.removeEventListener('abort', stop);
    };
    child.on('error', (error) => {
      settled();
      reject(new Error(`${command} cannot be run: ${error.message}`, { cause: error }));
    });
    child.on('close', (code, endedBy) => {
      settled();
      if (signal.aborted) reject(signal.reason);
      else if (code === 0) resolve(output);
      else
        reject(
          new Error(failure(command, timedOut ? `took longer than ${timeoutMs} ms` : `ended with ${endedBy ?? `code ${code}`}`, output)),
        );
    });
  });
}

/**
 * @param {string} command
 * @param {string} end
 * @param {string} output
 */
function failure(command, end, output) {
  const said = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-3)
    .join(' | ');
  return `${command} ${end}${said === '' ? '' : `: ${said}`}`;
}

/**
 * Runs a program in this process's place: its terminal, its signals, its exit code. Returns only when the program has ended, however long it
 * takes after a signal. A signal that the terminal sends reaches the program twice (once from here): whoever counts signals must take those
 * that come together for one.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, linked?: boolean }} [options] `linked`: the program calls `followParent`, so it ends even if this process is killed
 * @returns {Promise<number>} its exit code; 128 + n if signal n ended it
 */
export function relay(command, args, { env = process.env, linked = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: linked ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit' });
    /** @param {NodeJS.Signals} name */
    const forward = (name) => void child.kill(name);
    for (const name of endingSignals) process.on(name, forward);
    const settled = () => {
      for (const name of endingSignals) process.off(name, forward);
    };
    child.on('error', (error) => {
      settled();
      reject(new Error(`${command} cannot be run: ${error.message}`, { cause: error }));
    });
    child.on('exit', (code, endedBy) => {
      settled();
      resolve(endedBy === null ? (code ?? 1) : exitCodeOf(endedBy));
    });
  });
}

/** Under a `linked` relay: asks this process to end, as SIGTERM would, when the relaying process is gone. Else does nothing. */
export function followParent() {
  if (process.channel === undefined) return;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}
