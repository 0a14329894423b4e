import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The gateway's entry among the sources. */
export const sourceEntry = join(root, 'src/main.ts');

/**
 * Compiles the sources into `dir`, as the published package has them: run from the sources, each thread holds the code that strips their
 * types. @returns the gateway's entry
 */
export async function compilePackage(dir: string, signal: AbortSignal): Promise<string> {
  await mkdir(dir, { recursive: true });
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const dist = join(dir, 'dist');
  await promisify(execFile)(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', dist], { signal });
  await copyFile(join(root, 'package.json'), join(dir, 'package.json'));
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'));
  return join(dist, 'main.js');
}
