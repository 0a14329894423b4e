import { constants, existsSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { Engine } from '../../plugins/engine-plugin.ts';

/** What a command leads to; `reason` says what was tried, and how to get it. */
export type Executable = { readonly kind: 'found'; readonly file: string } | { readonly kind: 'missing'; readonly reason: string };

/** What is looked for: the engine's own program, and what to tell a user who does not have it. */
export type Sought = Pick<Engine, 'executable' | 'install'>;

type Finding = 'executable' | 'missing' | 'directory' | 'not executable';

async function look(file: string): Promise<Finding> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) return 'directory';
    await access(file, constants.X_OK);
    return 'executable';
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EACCES' ? 'not executable' : 'missing';
  }
}

/** Directories of a PATH that a message names. */
const mostNamed = 3;

/** A PATH as a message shows it: its first directories. */
function abridged(path: string): string {
  if (path === '') return 'empty';
  const directories = path.split(delimiter);
  const more = directories.length - mostNamed;
  return `${directories.slice(0, mostNamed).join(delimiter)}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Whether there is no `program`, not even one that may not be run: itself if it has a slash, else on `path` (the value of PATH). */
export async function isMissing(program: string, path: string): Promise<boolean> {
  const files = program.includes('/') ? [program] : path.split(delimiter).map((directory) => join(directory, program));
  const findings = await Promise.all(files.map(look));
  return findings.every((finding) => finding === 'missing');
}

/**
 * The file that `command` means: itself if it has a slash, else the first of that name on `path`. A Python virtual environment (a directory
 * with `pyvenv.cfg`) means the engine's own program in it.
 * @param path the value of PATH.
 * @throws GatewayError `engine_missing`, naming what was tried.
 */
export async function findExecutable(command: string, path: string, { executable, install }: Sought): Promise<string> {
  if (command.includes('/')) {
    const finding = await look(command);
    if (finding === 'executable') return command;
    if (finding === 'directory' && isVirtualEnv(command)) {
      const file = join(command, 'bin', executable);
      if ((await look(file)) === 'executable') return file;
      throw new GatewayError('engine_missing', `${command}: a virtual environment without ${executable} (${file}). ${install}`);
    }
    throw new GatewayError(
      'engine_missing',
      `${command}: ${finding === 'missing' ? 'no such file' : `is a file that cannot be run (${finding})`}. ${install}`,
    );
  }
  let unusable = '';
  for (const directory of path.split(delimiter)) {
    const file = join(directory, command);
    const finding = await look(file);
    if (finding === 'executable') return file;
    if (finding !== 'missing') unusable ||= ` (${file}: ${finding})`;
  }
  throw new GatewayError('engine_missing', `${command}: not found on PATH (${abridged(path)})${unusable}. ${install}`);
}

const isVirtualEnv = (directory: string): boolean => existsSync(join(directory, 'pyvenv.cfg'));

/**
 * What its `activate` would set, for a program in a virtual environment: engines run tools by name that were installed beside them (ninja,
 * for kernels that are compiled at the start). Nothing for any other program.
 */
export function activated(file: string, path: string): Readonly<Record<string, string>> {
  const bin = dirname(file);
  const environment = dirname(bin);
  return isVirtualEnv(environment) ? { VIRTUAL_ENV: environment, PATH: path === '' ? bin : `${bin}${delimiter}${path}` } : {};
}

/** As `findExecutable`, for a plan: one that is not there is an answer. */
export async function lookForExecutable(command: string, path: string, sought: Sought): Promise<Executable> {
  try {
    return { kind: 'found', file: await findExecutable(command, path, sought) };
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === 'engine_missing') return { kind: 'missing', reason: messageOf(thrown) };
    throw thrown;
  }
}

/** The PATH that a model's executable is looked up on: the model's own, else the gateway's. */
export function searchPath(
  model: Readonly<Record<string, string | undefined>>,
  gateway: Readonly<Record<string, string | undefined>>,
): string {
  return model['PATH'] ?? gateway['PATH'] ?? '';
}
