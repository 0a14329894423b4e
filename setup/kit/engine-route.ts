import type { Launch } from './launcher.ts';
import type { Machine } from './machine.ts';
import type { Python } from './python.ts';

/** What a route needs to install its engine. */
export interface Tools {
  readonly signal: AbortSignal;
  readonly machine: Machine;
  /** A directory for what is needed only meanwhile. */
  readonly stage: string;
  /** @throws saying why there is none */
  python(): Promise<Python>;
}

export interface Installed {
  readonly launch: Launch;
  /** What the launcher depends on most: absolute, or from the kit's directory. */
  readonly file: string;
  readonly downloadedBytes: number;
}

/** One way to a `llama-server` for this clone alone. */
export interface EngineRoute {
  readonly name: string;
  readonly title: string;
  /** Why it cannot work on this machine; undefined if it may. */
  obstacle(machine: Machine): string | undefined;
  /** Fills the directory `engine-<name>` of the stage; paths in the answer are as they will be below the kit's directory. */
  install(tools: Tools): Promise<Installed>;
}
