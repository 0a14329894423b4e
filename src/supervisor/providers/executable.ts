import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { GatewayError } from '../../core/errors.ts';

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
  throw new GatewayError('engine_missing', `${command}: not found on PATH (${path === '' ? 'empty' : path})${unusable}. ${install}`);
}
