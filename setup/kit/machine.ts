import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';

/** What decides where an engine can come from. */
export interface Machine {
  /** As `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** Version of the C library; undefined where it is not glibc. */
  readonly glibc: string | undefined;
  /** Whether Debian packages can be fetched and unpacked. */
  readonly apt: boolean;
  /** Debian's own signing keys, where installed. */
  readonly debianKeyring: string | undefined;
}

const reportShape = z.object({ header: z.object({ glibcVersionRuntime: z.string().optional() }) });
const keyrings = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];

export function describeMachine(env: NodeJS.ProcessEnv): Machine {
  // Otherwise the report looks up the names of every connection's other end.
  Object.assign(process.report, { excludeNetwork: true });
  return {
    platform: process.platform,
    arch: process.arch,
    glibc: reportShape.parse(process.report.getReport()).header.glibcVersionRuntime,
    apt: onPath('apt-get', env) !== undefined && onPath('dpkg', env) !== undefined,
    debianKeyring: keyrings.find((file) => isFile(file)),
  };
}

/** The executable file that `name` means on PATH; undefined if none. A name with a slash is a path already. */
export function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => isAbsolute(directory))
    .map((directory) => join(directory, name))
    .find((file) => isExecutable(file));
}

function isExecutable(file: string): boolean {
  if (!isFile(file)) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Its only meaning: not executable for us.
    return false;
  }
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}
