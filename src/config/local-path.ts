import { resolve } from 'node:path';
import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';

/**
 * The absolute path that `text` names, where it is written as one: `/…`, `~/…`, or `./…` and `../…` from `directory`. Undefined for
 * everything else, such as `org/model`.
 */
export function localPath(text: string, directory: string, homeDir: string): string | undefined {
  if (text === '~' || text.startsWith('~/')) return resolve(homeDir, `.${text.slice(1)}`);
  return /^(?:\/|\.\.?(?:\/|$))/.test(text) ? resolve(directory, text) : undefined;
}

/**
 * The same for the value at `path`, told as a problem where nothing is there.
 * @param instead what else could be written, if anything
 */
export function existingPath(text: string, path: ConfigPath, context: ResolveContext, instead?: string): string | undefined {
  const found = localPath(text, context.directoryOf(path), context.homeDir);
  if (found !== undefined && !context.exists(found)) {
    const expected = ['expected the path of one that is there', ...(instead === undefined ? [] : [instead])].join(', or ');
    context.problem(path, `there is no file or directory ${JSON.stringify(found)}; ${expected}`);
  }
  return found;
}
