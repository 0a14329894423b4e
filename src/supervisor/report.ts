import type { ModelName, ReplicaId } from '../core/ids.ts';
import type { Capabilities, ModelStatus } from '../core/table.ts';
import type { AdaptersReport } from './adapters/report.ts';
import type { Failure } from './failure.ts';
import type { FailureCount } from './failure-counts.ts';
import type { LogLoss } from './providers/log-tail.ts';
import type { ReplicaState } from './replica-state.ts';
import type { PastRun, Run } from './run.ts';
import { etaOf, phaseOf } from './table.ts';
import type { ReplicaFact } from './table.ts';

/** What `status` says of one replica. Times are clock times in milliseconds. */
export interface ReplicaReport {
  /** Of its present run, or of its last one, as routing tables and logs name it; undefined before the first. */
  readonly id: ReplicaId | undefined;
  /** The same over restarts; unique among the replicas of its model that there are at a time. */
  readonly index: number;
  readonly state: ReplicaState['kind'];
  /** It is pending, and its model's files are brought here. */
  readonly fetching: boolean;
  /** What a user reads: while it starts, what the engine says it does. */
  readonly phase: string;
  /** Milliseconds until it is expected to be ready, by what its last start took; undefined where nobody knows. */
  readonly etaMs: number | undefined;
  /** When it entered its state. */
  readonly since: number;
  readonly readySince: number | undefined;
  /** When its next start is due, while it backs off. */
  readonly nextStartAt: number | undefined;
  readonly pid: number | undefined;
  /** Of the engine that runs, by its own word; undefined until it has told. */
  readonly version: string | undefined;
  /** What the engine can do with the model, by its own word; undefined until it has told. */
  readonly capabilities: Capabilities | undefined;
  /** Why that version should be upgraded. */
  readonly advisory: string | undefined;
  /** Those of its present run, as the driver numbers them (MIG instances by id); none while it has no run. */
  readonly gpus: readonly string[];
  readonly upstream: string | undefined;
  readonly inFlight: number;
  /** Starts after the first. */
  readonly restarts: number;
  /** Times that it answered its health probe again after missing it; over all its runs. */
  readonly probeFlaps: number;
  /** Why its last run failed; undefined once it is ready again. */
  readonly lastError: Failure | undefined;
  /** Everything its present run, or its last one, printed. */
  readonly logFile: string | undefined;
  /** What of its present run's output was lost; undefined while it has no run, or others run it. */
  readonly logLoss: LogLoss | undefined;
}

/** What a replica knows of itself. */
export interface ReplicaRecord extends Pick<ReplicaReport, 'index' | 'since' | 'probeFlaps'> {
  readonly fact: ReplicaFact;
  readonly run: Run | undefined;
  readonly lastRun: PastRun | undefined;
  /** Runs it has begun, adopted ones included. */
  readonly launches: number;
}

/** The record of a replica, as `status` shows it. */
export function reportOf(
  { index, fact, since, run, lastRun, launches, probeFlaps }: ReplicaRecord,
  inFlight: number,
  now: number,
): ReplicaReport {
  const { state } = fact;
  return {
    id: run?.id ?? lastRun?.id,
    index,
    state: state.kind,
    fetching: state.kind === 'pending' && fact.fetching === true,
    phase: phaseOf(fact),
    etaMs: etaOf(fact, now),
    since,
    readySince: state.kind === 'ready' ? state.since : undefined,
    nextStartAt: 'until' in state ? state.until : undefined,
    pid: run?.handle?.pid,
    version: run?.release?.version,
    capabilities: fact.capabilities,
    advisory: run?.release?.advisory,
    gpus: run?.gpus.labels ?? [],
    upstream: run?.handle?.upstream,
    inFlight,
    restarts: Math.max(0, launches - 1),
    probeFlaps,
    lastError: fact.lastFailure,
    logFile: run?.handle?.logFile ?? lastRun?.logFile,
    logLoss: run?.handle?.logLoss?.(),
  };
}

/** What `status` says of one model. */
export interface ModelReport {
  readonly name: ModelName;
  readonly engine: string;
  /** Replicas the config wants. */
  readonly desired: number;
  readonly status: ModelStatus;
  /** Requests accepted and not sent yet, over all workers. */
  readonly waiting: number;
  /** Of all replicas it had since the gateway began; only grows. */
  readonly restarts: number;
  /** Why they failed, and how often; counts only grow. */
  readonly failures: readonly FailureCount[];
  /** By index; those on their way out included. */
  readonly replicas: readonly ReplicaReport[];
  /** Undefined where the engine loads no adapters while it runs. */
  readonly adapters?: AdaptersReport | undefined;
}

/** Requests that wait, or that a replica works on. */
export function requestsOf(models: readonly ModelReport[]): number {
  return models.reduce((sum, { waiting, replicas }) => sum + waiting + replicas.reduce((all, replica) => all + replica.inFlight, 0), 0);
}
