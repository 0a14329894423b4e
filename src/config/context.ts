import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import type { Environment } from './interpolate.ts';
import type { Spot } from './positions.ts';
import type { ConfigPath } from './problems.ts';
import type { SecretFile } from './secret-file.ts';

/** What turning the file into a config needs to know, and where it tells what is wrong. */
export interface ResolveContext {
  readonly env: Environment;
  /** By lower-case name. */
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  /** CPU cores there are. */
  readonly cores: number;
  /** Absolute; what `~` stands for. */
  readonly homeDir: string;
  exists(path: string): boolean;
  secretFile(path: string): SecretFile;
  /** Unix milliseconds. */
  wallClock(): number;
  /** Absolute directory of the file that the value at `path` was written in: relative paths start there. */
  directoryOf(path: ConfigPath): string;
  problem(path: ConfigPath, message: string, spot?: Spot): void;
  warning(path: ConfigPath, message: string): void;
}
