import type { AdapterName, ReplicaId } from '../../core/ids.ts';
import type { AdapterFiles, Engine } from '../../plugins/engine-plugin.ts';
import type { ModelConfig, StaticUpstream } from '../../config/config.ts';
import type { GpuGrant } from '../gpus/holds.ts';
import type { Lease } from './lease.ts';
import type { LogLoss } from './log-tail.ts';

/** How a replica ended. `code` and `signal` as Node gives them; both null where they cannot be known. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Of a SIGKILL: whether the kernel sent it for want of memory, as far as its cgroup's count tells. */
  readonly killer?: 'out-of-memory' | 'somebody' | 'unknown';
  /** Processes of it that had left its group, and were ended by their marker; from `stop()`. */
  readonly escaped?: number;
}

/** A LoRA adapter that an engine is started with, and what clients call it. */
export interface NamedAdapter extends AdapterFiles {
  readonly adapter: AdapterName;
}

export interface ReplicaSpec {
  readonly id: ReplicaId;
  readonly model: ModelConfig;
  readonly engine: Engine;
  /** Executable and leading arguments. */
  readonly command: readonly [string, ...string[]];
  /** Unique among the replicas of the model that there are at a time. */
  readonly index: number;
  /** Equal for two configs exactly when their replicas would be the same process. */
  readonly fingerprint: string;
  /** Set when somebody else runs it: nothing is launched. */
  readonly upstream?: StaticUpstream;
  /** LoRA adapters that the engine is started with, in this order. */
  readonly adapters?: readonly NamedAdapter[];
  /** The run's own; undefined: none, and the engine sees none. */
  readonly gpus?: Pick<GpuGrant, 'ids' | 'env'>;
}

export interface ReplicaProvider {
  /**
   * Starts one replica; resolves when its process exists, not when it is ready. Aborting leaves nothing running.
   * @throws GatewayError `engine_missing` when the executable is not there or cannot be run.
   */
  launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<ReplicaHandle>;
}

/** What is left of a run that a former gateway started: to be ended, whatever it is. */
export interface Remains {
  /** The run's id, which its processes carry as their marker. */
  readonly id: string;
  /** Its process group, where that is surely still its own. */
  readonly pgid: number | undefined;
}

/** What former gateways left on a state directory. */
export interface Recovered {
  /** Leases whose first process lives and is really the one we started. */
  readonly adoptable: readonly Lease[];
  readonly remains: readonly Remains[];
}

/** Finds the processes of a gateway that ended without ending them. */
export interface Recovery {
  /** Forgets the leases of which nothing is left. @throws GatewayError `state_unusable`. */
  recover(): Promise<Recovered>;
  /** Takes over the engine of a lease; undefined if it has ended meanwhile, and then nothing of it is left. */
  adopt(lease: Lease, watch: LogWatch): Promise<ReplicaHandle | undefined>;
  /** Ends the processes, politely first; resolves when none is left, and never rejects. A stranger with a reused pid is not touched. */
  reap(remains: Remains): Promise<void>;
}

/** Who listens on the engine's port: its own process group, somebody else, or it cannot be told. `external`: not our concern. */
export type Listener = 'ours' | 'foreign' | 'unknown' | 'external';

/** Gets each complete line of the engine's output (at most 64 KB of it), ANSI sequences removed. */
export type LogWatch = (line: string) => void;

export interface ReplicaHandle {
  readonly upstream: string;
  /** Empty where the engine asks for none. */
  readonly apiKey: string;
  /** Certificate authority (PEM) to verify its https by, besides the system's. */
  readonly ca?: string;
  /** Process id (also the process group's), for status and metrics; undefined where others run it. */
  readonly pid: number | undefined;
  /** File with everything the engine printed. */
  readonly logFile: string | undefined;
  /** Milliseconds it had been running when it was adopted; undefined for one that was launched. */
  readonly adoptedAgeMs?: number;
  /** Settles exactly once and never rejects; not after `release()`. The code of an adopted process is unknown. */
  readonly exited: Promise<Exit>;
  listener(): Promise<Listener>;
  /** The last lines the engine printed, oldest first. */
  tail(): readonly string[];
  /** What of its output was lost so far; undefined where others have it. */
  logLoss?(): LogLoss;
  /** SIGTERM, then SIGKILL to the whole process group after `graceMs`; resolves when no process of the group is left. Calling it again with less
   * time hurries the end that is under way; with more, it changes nothing. */
  stop(graceMs: number): Promise<Exit>;
  /** Lets go of it: it runs on, and its lease stays for the next gateway. */
  release(): void;
}
