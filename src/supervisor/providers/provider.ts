import type { ReplicaId } from '../../core/ids.ts';
import type { Engine } from '../../plugins/engine-plugin.ts';
import type { ModelConfig } from '../../config/config.ts';

/** How a replica ended. `code` and `signal` as Node gives them; both null where they cannot be known. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ReplicaSpec {
  readonly id: ReplicaId;
  readonly model: ModelConfig;
  readonly engine: Engine;
  /** Executable and leading arguments. */
  readonly command: readonly [string, ...string[]];
}

export interface ReplicaProvider {
  /**
   * Starts one replica; resolves when its process exists, not when it is ready. Aborting leaves nothing running.
   * @throws GatewayError `engine_missing` when the executable is not there or cannot be run.
   */
  launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<ReplicaHandle>;
}

/** Gets each complete line of the engine's output (at most 64 KB of it), ANSI sequences removed. */
export type LogWatch = (line: string) => void;

export interface ReplicaHandle {
  readonly upstream: string;
  readonly apiKey: string;
  /** Process id (also the process group's), for status and metrics. */
  readonly pid: number;
  /** File with everything the engine printed. */
  readonly logFile: string;
  /** Settles exactly once and never rejects. */
  readonly exited: Promise<Exit>;
  /** The last lines the engine printed, oldest first. */
  tail(): readonly string[];
  /** SIGTERM, then SIGKILL to the whole process group after `graceMs`; resolves when no process of the group is left. Calling it again with less
   * time hurries the end that is under way; with more, it changes nothing. */
  stop(graceMs: number): Promise<Exit>;
}
