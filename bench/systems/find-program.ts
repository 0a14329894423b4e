import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The program of that name on `path` or where Debian puts some, which is on root's PATH only; undefined where there is none. */
export async function findProgram(name: string, path: string | undefined): Promise<string | undefined> {
  const candidates = [...(path ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].filter((dir) => dir !== '');
  for (const dir of candidates) {
    const file = join(dir, name);
    const runs = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return file;
  }
  return undefined;
}
