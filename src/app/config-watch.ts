import { stat } from 'node:fs/promises';
import type { LoadedConfig } from '../config/load.ts';
import type { Environment } from '../config/interpolate.ts';
import { SourceTree } from '../config/source-tree.ts';
import type { Clock } from '../core/clock.ts';

/** How often the files are looked at, and how long they must have been left alone before they are read. */
export const watchIntervalMs = 500;

/** What a watch knows of its files' appearance: when it last read them, and at the last look. */
export interface Appearance {
  readonly read: string;
  readonly last: string;
}

/**
 * One look. Files are to be read when they do not appear as they did when they were read, and have appeared the same twice: whoever
 * writes them - an editor, a link that moves - is done.
 */
export function look({ read, last }: Appearance, now: string): { readonly next: Appearance; readonly isToRead: boolean } {
  const isToRead = now !== read && now === last;
  return { next: { read: isToRead ? now : read, last: now }, isToRead };
}

export interface ConfigWatchDeps {
  readonly clock: Clock;
  readonly env: Environment;
  /** Reads the config again, and tells what came of it. Never rejects. */
  readonly reload: () => Promise<void>;
}

/**
 * Asks for a reload whenever the files of a config say something else than before: those given, and those they name. A text that was
 * refused is not tried again before it changes. Resolves when `signal` aborts.
 */
export async function watchConfig(
  { config, sources, digest }: LoadedConfig,
  { clock, env, reload }: ConfigWatchDeps,
  signal: AbortSignal,
): Promise<void> {
  let files = sources;
  let tried = digest;
  // Nothing appears so: whatever was changed since the config was loaded is found by the first looks.
  let appearance: Appearance = { read: '', last: '' };
  while (!signal.aborted) {
    const { next, isToRead } = look(appearance, await appearanceOf(files));
    appearance = next;
    if (isToRead) {
      const tree = new SourceTree(config.files, env);
      tree.read();
      files = [...tree.files];
      if (tree.digest() !== tried) {
        tried = tree.digest();
        await reload();
      }
    }
    await clock.sleep(watchIntervalMs, signal).catch(() => undefined);
  }
}

/** What tells that a path leads to another file or to other contents; links are followed. */
async function appearanceOf(files: readonly string[]): Promise<string> {
  const each = files.map(async (file) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  });
  return (await Promise.all(each)).join('\n');
}
