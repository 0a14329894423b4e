import { resolve } from 'node:path';

/**
 * The absolute path that `text` names, where it is written as one: `/…`, `~/…`, or `./…` and `../…` from `directory`. Undefined for
 * everything else, such as `org/model`.
 */
export function localPath(text: string, directory: string, homeDir: string): string | undefined {
  if (text === '~' || text.startsWith('~/')) return resolve(homeDir, `.${text.slice(1)}`);
  return /^(?:\/|\.\.?(?:\/|$))/.test(text) ? resolve(directory, text) : undefined;
}
