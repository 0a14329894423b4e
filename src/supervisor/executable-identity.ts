import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A file or directory as it is now. */
export interface FileStamp {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

async function stamp(path: string): Promise<FileStamp | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : { path, size: found.size, mtimeMs: found.mtimeMs, inode: found.ino };
}

/** `lib/python3.12/site-packages` and the like beside a `bin` directory: their times change when a package comes, goes or is replaced. */
async function libraries(bin: string): Promise<string[]> {
  const lib = join(dirname(bin), 'lib');
  const pythons = (await readdir(lib).catch(() => [])).filter((name) => name.startsWith('python'));
  return pythons.sort().flatMap((python) => [join(lib, python, 'site-packages'), join(lib, python, 'dist-packages')]);
}

/**
 * What changes when another version of a program is installed: the file itself, and the Python libraries beside it. The file alone does
 * not tell: the script in a virtual environment stays the same when the package that it starts is replaced. What a script of the user's
 * own starts elsewhere cannot be seen.
 * @param file absolute path of an executable
 */
export async function executableIdentity(file: string): Promise<readonly FileStamp[]> {
  const real = await realpath(file).catch(() => file);
  // Both ends of a link: a virtual environment's Python leads out of it, a link in ~/.local/bin leads into one.
  const bins = [...new Set([dirname(file), dirname(real)])];
  const paths = [real, ...(await Promise.all(bins.map(libraries))).flat()];
  return (await Promise.all(paths.map(stamp))).filter((found) => found !== undefined);
}
