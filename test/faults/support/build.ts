import assert from 'node:assert/strict';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempDir } from '../../support/gateway-process.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The program in a place of its own, where another version can take its place, as an upgrade does it. */
export interface Build {
  /** For `GatewayOptions`. */
  readonly main: string;
  /** Changes one of its files. Processes that run already have read theirs. */
  edit(file: string, from: string | RegExp, to: string): Promise<void>;
}

export async function copiedBuild(t: TestContext): Promise<Build> {
  const dir = await tempDir(t);
  for (const part of ['src', 'package.json']) await cp(join(root, part), join(dir, part), { recursive: true });
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'));
  return {
    main: join(dir, 'src/main.ts'),
    edit: async (file, from, to) => {
      const before = await readFile(join(dir, file), 'utf8');
      const after = before.replace(from, to);
      assert.notEqual(after, before, `${file} has ${String(from)}`);
      await writeFile(join(dir, file), after);
    },
  };
}
