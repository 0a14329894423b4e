import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** A help text that an engine printed. */
export interface KeptHelp {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

const entrySchema = z.strictObject({ identity: z.string(), text: z.string(), readAt: z.number() });

/** Help texts on disk: one file for each command, which only holds for the installation that it was read from. */
export class HelpCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Undefined where there is none of this installation, or what there is cannot be read: it is only a copy. */
  async get(command: string, identity: string): Promise<KeptHelp | undefined> {
    try {
      const entry = entrySchema.parse(JSON.parse(await readFile(this.#file(command), 'utf8')));
      return entry.identity === identity ? { text: entry.text, readAt: entry.readAt } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Replaces what there is of the command, at once. @throws Error where the directory cannot be written */
  async put(command: string, identity: string, { text, readAt }: KeptHelp): Promise<void> {
    const file = this.#file(command);
    // Two gateways may read the same help at a time.
    const fresh = `${file}.${process.pid}.new`;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    try {
      await writeFile(fresh, JSON.stringify({ identity, text, readAt }), { mode: 0o600 });
      await rename(fresh, file);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
  }

  #file(command: string): string {
    return join(this.#directory, `${createHash('sha256').update(command).digest('hex').slice(0, 32)}.json`);
  }
}
