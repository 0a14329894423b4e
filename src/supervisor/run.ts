import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/errors.ts';
import type { ReplicaId } from '../core/ids.ts';
import type { Capabilities, ReplicaView } from '../core/table.ts';
import type { ModelLease } from '../models/store.ts';
import type { StartAdapter, StartedWith } from './adapters/started.ts';
import type { GpuGrant } from './gpus/holds.ts';
import type { Lease } from './providers/lease.ts';
import type { LogWatch, ReplicaHandle, ReplicaProvider, ReplicaSpec } from './providers/provider.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { RunLog } from './run-log.ts';
import type { EngineRelease } from './running-version.ts';
import type { Turn } from './start-queue.ts';

/** A run that a former gateway began. */
export interface FormerRun {
  readonly id: ReplicaId;
  /** What it was started with. */
  readonly adapters: readonly StartAdapter[];
  /** Undefined if it has ended meanwhile; then nothing of it is left. */
  adopt(watch: LogWatch): Promise<ReplicaHandle | undefined>;
}

/** One process from its launch to its end. Only its replica changes it. */
export interface Run {
  readonly id: ReplicaId;
  readonly turn: Turn;
  readonly gpus: GpuGrant;
  readonly log: RunLog;
  /** The model's files, where they were brought here. */
  readonly weights: ModelLease | undefined;
  /** What its engine is started with, where it takes adapters at its start only. */
  readonly adapters: readonly StartAdapter[];
  /** Settles when the launch has; never rejects. */
  launched: Promise<void>;
  handle: ReplicaHandle | undefined;
  wasReady: boolean;
  lastProbe: string | undefined;
  /** What runs, once the engine has told. */
  release: EngineRelease | undefined;
  /** What it can do, once it has told. */
  capabilities: Capabilities | undefined;
  /** Set once its end has begun: milliseconds between SIGTERM and SIGKILL. */
  graceMs: number | undefined;
}

/** What is remembered of a run that is over. */
export interface PastRun {
  readonly id: ReplicaId;
  readonly logFile: string | undefined;
  readonly apiKey: string;
}

const adoptedWaitMs = 10_000;

/** A run that may begin. */
export function newRun(held: Pick<Run, 'id' | 'turn' | 'gpus' | 'log' | 'weights' | 'adapters'>): Run {
  return {
    ...held,
    launched: Promise.resolve(),
    handle: undefined,
    wasReady: false,
    lastProbe: undefined,
    release: undefined,
    capabilities: undefined,
    graceMs: undefined,
  };
}

/** What is kept of `run` once it is over. */
export function pastRun({ id, handle }: Run): PastRun {
  return { id, logFile: handle?.logFile, apiKey: handle?.apiKey ?? '' };
}

/**
 * Takes over the process of `former`, or starts one.
 * @throws GatewayError `start_failed` where the former one has ended meanwhile and held GPUs, and as `ReplicaProvider.launch()`.
 */
export async function beginRun(
  provider: ReplicaProvider,
  spec: ReplicaSpec,
  former: FormerRun | undefined,
  watch: LogWatch,
  signal: AbortSignal,
): Promise<ReplicaHandle> {
  const adopted = await former?.adopt(watch);
  if (adopted !== undefined) return adopted;
  // What was held for it is not enough to start another: which GPUs those are was never looked up.
  if (former !== undefined && (spec.gpus?.ids.length ?? 0) > 0)
    throw new GatewayError('start_failed', 'the engine that a former gateway left has ended meanwhile');
  return await provider.launch(spec, watch, signal);
}

/**
 * Gives an adopted engine up once it has had what is left of its own startup timeout, and 10 s at least: one that was ready long ago answers
 * now, or hangs. One that we started is ended by its state's own deadline.
 */
export function limitAdopted(
  clock: Clock,
  run: Run,
  startupTimeoutMs: number,
  giveUp: (detail: string) => void,
  signal: AbortSignal,
): void {
  const adoptedAgeMs = run.handle?.adoptedAgeMs;
  if (adoptedAgeMs === undefined) return;
  const leftMs = Math.max(adoptedWaitMs, startupTimeoutMs - adoptedAgeMs);
  const cancel = clock.after(leftMs, () => {
    const seen = run.lastProbe === undefined ? '' : ` (${run.lastProbe})`;
    giveUp(`a former gateway left it running, but it was not ready within ${leftMs / 1000} s${seen}`);
  });
  signal.addEventListener('abort', cancel, { once: true });
}

/** The adapters that a run was started with, in order; undefined without any, and while it has no process. */
export function startedWith({ adapters, handle }: Run): StartedWith | undefined {
  return handle === undefined ? undefined : new Map(adapters.map(({ adapter, handle: name }) => [adapter, name]));
}

/** How an engine is asked, whatever its state. */
export type EngineAddress = Pick<ReplicaHandle, 'upstream' | 'apiKey' | 'ca'>;

/** Where workers reach it; undefined while it has no process. */
export function viewOf({ id, turn, handle }: Run, { model, engine }: ReplicaPlan, index: number): ReplicaView | undefined {
  if (handle === undefined) return undefined;
  const { upstream, apiKey, ca } = handle;
  const maxInFlight = model.maxOngoing ?? engine.concurrency;
  return { id, slot: turn.slot, index, upstream, apiKey, maxInFlight, ...(ca === undefined ? {} : { ca }) };
}

/** What the engine of a lease was started with. It has read their files. */
export function adoptedAdapters({ adapters }: Lease): readonly StartAdapter[] {
  return adapters.map((adapter) => ({ ...adapter, release: () => undefined }));
}

/** The files of a run that is over need to be here no more. */
export function releaseFiles({ weights, adapters }: Pick<Run, 'weights' | 'adapters'>): void {
  weights?.release();
  for (const adapter of adapters) adapter.release();
}
