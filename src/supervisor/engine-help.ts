import { messageOf } from '../core/errors.ts';
import { executableIdentity } from './executable-identity.ts';
import { HelpCache } from './help-cache.ts';
import { engineEnvironment } from './providers/environment.ts';
import { findExecutable, searchPath, type Sought } from './providers/executable.ts';
import { signalGroup } from './providers/processes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whose help is wanted. */
export interface HelpRequest extends Sought {
  /** Executable and leading arguments. */
  readonly command: readonly [string, ...string[]];
  readonly help: { readonly args: readonly string[]; readonly timeoutMs: number };
  /** The model's environment. */
  readonly env: Environment;
}

export type HelpAnswer =
  | { readonly kind: 'text'; readonly text: string; readonly readAt: number; /** Why it could not be kept. */ readonly unkept?: string }
  | { readonly kind: 'unread'; readonly reason: string };

export interface EngineHelpDeps {
  /** Where texts are kept; made when there is something to keep. */
  readonly cacheDir: string;
  /** The gateway's own environment; engines get an allow-listed part of it. */
  readonly env: Environment;
  /** Milliseconds since 1970. */
  now(): number;
}

/** A text is read again after this time, however little seems to have changed: what a wrapper script starts cannot be seen. */
const keptForMs = 24 * 3_600_000;
const longestText = 8 * 1_048_576;
/** Of a model's environment, what decides which program and libraries are found. The rest may hold secrets. */
const decisive = ['PATH', 'PYTHONPATH', 'PYTHONHOME', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'];

/** The help texts of installed engines: run once, kept for as long as the installation stays the same. */
export class EngineHelp {
  readonly #deps: EngineHelpDeps;
  readonly #cache: HelpCache;

  constructor(deps: EngineHelpDeps) {
    this.#deps = deps;
    this.#cache = new HelpCache(deps.cacheDir);
  }

  /**
   * The help text; a kept one where it is no older than `maxAgeMs`. Never rejects but with the signal's reason, and leaves no process
   * behind, unless this program is killed: then the engine ends by itself once it has printed its help.
   */
  async read(request: HelpRequest, signal: AbortSignal, maxAgeMs = keptForMs): Promise<HelpAnswer> {
    const { command, help, env } = request;
    const chosen = Object.fromEntries(decisive.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
    const [name, ...leading] = command;
    let file: string;
    try {
      file = await findExecutable(name, searchPath(env, this.#deps.env), request);
    } catch (error) {
      return { kind: 'unread', reason: messageOf(error) };
    }
    const args = [...leading, ...help.args];
    const [key, identity] = [JSON.stringify([file, args, chosen]), JSON.stringify(await executableIdentity(file))];
    const kept = await this.#cache.get(key, identity);
    const now = this.#deps.now();
    if (kept !== undefined && kept.readAt <= now && now - kept.readAt <= maxAgeMs) return { kind: 'text', ...kept };
    const answer = await this.#run(file, args, chosen, help.timeoutMs, signal);
    if (answer.kind === 'unread') return answer;
    const unkept = await this.#cache.put(key, identity, answer).then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    return unkept === undefined ? answer : { ...answer, unkept };
  }

  async #run(file: string, args: readonly string[], chosen: Environment, timeoutMs: number, signal: AbortSignal): Promise<HelpAnswer> {
    const { execa } = await import('execa');
    signal.throwIfAborted();
    const child = execa(file, args, {
      env: { ...engineEnvironment(this.#deps.env, chosen, {}, 'help'), LC_ALL: 'C.UTF-8', COLUMNS: '120', NO_COLOR: '1' },
      extendEnv: false,
      stdin: 'ignore',
      reject: false,
      maxBuffer: longestText,
      // A group of its own, so that what a wrapper script started goes with it.
      detached: true,
    });
    let late = false;
    const kill = (): boolean => signalGroup(child.pid, 'SIGKILL');
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, timeoutMs);
    signal.addEventListener('abort', kill, { once: true });
    try {
      const { exitCode, stdout, stderr, shortMessage = '' } = await child;
      signal.throwIfAborted();
      const name = [file, ...args].join(' ');
      if (late) return { kind: 'unread', reason: `${name}: did not end within ${timeoutMs / 1000} s` };
      if (exitCode !== 0)
        return { kind: 'unread', reason: `${name}: ${exitCode === undefined ? shortMessage : failure(exitCode, stderr)}` };
      // Some programs print their help on stderr.
      return { kind: 'text', text: stdout.trim() === '' ? stderr : stdout, readAt: this.#deps.now() };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
    }
  }
}

function failure(exitCode: number, stderr: string): string {
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return `exit code ${exitCode}${last === '' ? '' : `: ${last.slice(0, 200)}`}`;
}
