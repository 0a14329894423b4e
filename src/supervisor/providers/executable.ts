import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { GatewayError, messageOf } from '../../core/errors.ts';

/** What a command leads to; `reason` says what was tried, and how to get it. */
export type Executable = { readonly kind: 'found'; readonly file: string } | { readonly kind: 'missing'; readonly reason: string };

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

/**
 * The file that `command` means: itself if it has a slash, else the first of that name on `path`.
 * @param path the value of PATH.
 * @param install what to tell a user who does not have it.
 * @throws GatewayError `engine_missing`, naming what was tried.
 */
export async function findExecutable(command: string, path: string, install: string): Promise<string> {
  if (command.includes('/')) {
    const finding = await look(command);
    if (finding === 'executable') return command;
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

/** As `findExecutable`, for a plan: one that is not there is an answer. */
export async function lookForExecutable(command: string, path: string, install: string): Promise<Executable> {
  try {
    return { kind: 'found', file: await findExecutable(command, path, install) };
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
