import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** How to run a program that was unpacked with its own C library; paths from the root it was unpacked into. */
export interface Loader {
  readonly program: string;
  /** Where libraries are; the first holds the most. */
  readonly libraries: readonly [string, ...string[]];
}

/** @throws naming what is missing, if the root has no dynamic loader */
export function findLoader(root: string): Loader {
  // Debian 12 still ships some libraries below /lib, which later releases link to /usr/lib.
  const libraries = [join('usr', 'lib'), 'lib'].flatMap((parent) =>
    (existsSync(join(root, parent)) ? readdirSync(join(root, parent)) : [])
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => join(parent, name)),
  );
  const program = libraries
    .flatMap((directory) => readdirSync(join(root, directory)).map((name) => join(directory, name)))
    .find((file) => /\/ld-linux[^/]*$/.test(file));
  const [first, ...rest] = libraries;
  if (first === undefined || program === undefined) throw new Error('the packages brought no dynamic loader (lib/*-linux-gnu/ld-linux*)');
  return { program, libraries: [first, ...rest] };
}
