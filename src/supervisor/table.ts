import type { Slot } from '../core/ids.ts';
import type { Capabilities, ModelEntry, ModelStatus, ReplicaView, RoutingTable } from '../core/table.ts';
import type { ModelConfig } from '../config/config.ts';
import type { StartedWith } from './adapters/started.ts';
import type { Failure } from './failure.ts';
import type { ReplicaState } from './replica-state.ts';
import { cleanRecord } from './restart.ts';

/** One replica, as far as routing and the status of its model need it. */
export interface ReplicaFact {
  readonly state: ReplicaState;
  /** What a starting engine says it is doing. */
  readonly phase: string;
  /** Where it is reached; undefined while no process of it exists. */
  readonly view: ReplicaView | undefined;
  /** LoRA adapters that its present run was started with; undefined where it has none, or loads them while it runs. */
  readonly started?: StartedWith | undefined;
  /** Why its last run failed; undefined once it is ready again. */
  readonly lastFailure: Failure | undefined;
  /** What its engine can do, once it has told. */
  readonly capabilities?: Capabilities | undefined;
  /** What a pending one waits for, besides its turn. */
  readonly waitsFor?: string | undefined;
  /** That is the model's files. */
  readonly fetching?: boolean;
  /** Milliseconds until that is there; undefined where nobody knows. */
  readonly waitMs?: number | undefined;
  /** Milliseconds its start still takes, or its next one will take as a whole; undefined where nobody knows. */
  readonly startMs?: number | undefined;
}

export interface ModelFact {
  readonly config: ModelConfig;
  readonly waiting: Slot;
  /** Unix seconds. */
  readonly created: number;
  readonly replicas: readonly ReplicaFact[];
}

/** Phase of a replica whose turn to start has not come; a pending one with another phase lacks something. */
export const waitingToStart = 'waiting to start';

/** A replica that there will be. */
export const toBeStarted: ReplicaFact = {
  state: { kind: 'pending', record: cleanRecord },
  phase: waitingToStart,
  view: undefined,
  lastFailure: undefined,
};

/** What a user reads for each state. */
export function phaseOf(fact: Pick<ReplicaFact, 'state' | 'phase' | 'waitsFor'>): string {
  switch (fact.state.kind) {
    case 'starting':
      return fact.phase;
    case 'pending':
      return fact.waitsFor ?? waitingToStart;
    case 'backing-off':
      return 'backing off';
    case 'crash-loop':
      return 'crash loop';
    case 'falling-asleep':
      return 'falling asleep';
    case 'stopping':
      return fact.state.next.kind === 'restart' ? 'restarting' : 'stopping';
    case 'ready':
      return fact.state.serving ? 'ready' : 'not answering its health probe';
    case 'asleep':
    case 'waking':
    case 'draining':
    case 'stopped':
    case 'failed':
      return fact.state.kind;
  }
}

/** Milliseconds until it is expected to be ready; undefined where nobody knows, and where it is ready or on its way out. */
export function etaOf(
  { state, startMs, waitsFor, waitMs }: Pick<ReplicaFact, 'state' | 'startMs' | 'waitsFor' | 'waitMs'>,
  now: number,
): number | undefined {
  switch (state.kind) {
    case 'starting':
      return startMs;
    case 'pending':
      if (waitMs !== undefined) return waitMs + (startMs ?? 0);
      // When others will give a GPU back cannot be told.
      return waitsFor === undefined ? startMs : undefined;
    case 'stopping':
      return state.next.kind === 'restart' ? startMs : undefined;
    case 'backing-off':
    case 'crash-loop':
      return Math.max(0, state.until - now) + (startMs ?? 0);
    case 'ready':
    // How long an engine takes to wake is not kept.
    case 'falling-asleep':
    case 'asleep':
    case 'waking':
    case 'draining':
    case 'stopped':
    case 'failed':
      return undefined;
  }
}

/** How near a state is to serving; the nearest replica speaks for its model. */
function distance(state: ReplicaState): number {
  switch (state.kind) {
    case 'ready':
      return state.serving ? 0 : 0.5;
    case 'waking':
      return 0.6;
    case 'falling-asleep':
    case 'asleep':
      return 0.7;
    case 'starting':
      return 1;
    case 'pending':
      return 2;
    case 'stopping':
      return state.next.kind === 'restart' ? 3 : 7;
    case 'backing-off':
      return 4;
    case 'crash-loop':
      return 5;
    case 'failed':
      return 6;
    case 'draining':
      return 7;
    case 'stopped':
      return 8;
  }
}

function failureOf(fact: ReplicaFact): Failure | undefined {
  return 'failure' in fact.state ? fact.state.failure : fact.lastFailure;
}

/** Whether a request starts a replica where there is none. */
export function wakes({ autoscaling }: ModelFact['config']): boolean {
  return autoscaling !== undefined;
}

/** What is told to those who ask for a model that may not be able to serve now. @param waking as `wakes()` */
export function modelStatus(replicas: readonly ReplicaFact[], now: number, waking = false): ModelStatus {
  const eta = (fact: ReplicaFact): number => etaOf(fact, now) ?? Number.MAX_SAFE_INTEGER;
  const nearest = [...replicas].sort((a, b) => distance(a.state) - distance(b.state) || eta(a) - eta(b))[0];
  if (nearest === undefined) return waking ? { phase: 'asleep', asleep: true } : { phase: 'stopped' };
  const phase = phaseOf(nearest);
  if (nearest.state.kind === 'ready') return { phase };
  if (nearest.state.kind === 'asleep' || nearest.state.kind === 'falling-asleep') return { phase: 'asleep', asleep: true };
  const failure = failureOf(nearest) ?? replicas.map(failureOf).find((found) => found !== undefined);
  const etaMs = etaOf(nearest, now);
  const hopeless = nearest.state.kind === 'failed' || nearest.state.kind === 'crash-loop';
  return {
    phase,
    ...(etaMs === undefined ? {} : { etaMs }),
    ...(failure === undefined ? {} : { error: { code: failure.code, message: failure.message, permanent: hopeless } }),
  };
}

/** The views of those replicas that may get requests. */
export function routable(replicas: readonly ReplicaFact[]): readonly ReplicaView[] {
  return replicas.flatMap((fact) => (fact.state.kind === 'ready' && fact.state.serving && fact.view !== undefined ? [fact.view] : []));
}

/** Replicas of one model are alike, so that the first that has told speaks for all. */
function told(replicas: readonly ReplicaFact[]): Pick<ModelEntry, 'capabilities'> {
  const capabilities = replicas.find((fact) => fact.capabilities !== undefined)?.capabilities;
  return capabilities === undefined ? {} : { capabilities };
}

/** The snapshot that the workers route by. */
export function buildTable(version: number, models: readonly ModelFact[], apps: RoutingTable['apps'], now: number): RoutingTable {
  const entry = (fact: ModelFact): ModelEntry => ({
    engine: fact.config.engine,
    waiting: fact.waiting,
    created: fact.created,
    status: modelStatus(fact.replicas, now, wakes(fact.config)),
    limits: fact.config.limits,
    routing: fact.config.routing,
    unsupportedParams: fact.config.unsupportedParams,
    input: fact.config.input,
    resumeStreams: fact.config.resumeStreams,
    ...told(fact.replicas),
    ...(fact.config.traits.lora === undefined ? {} : { lora: true }),
    replicas: routable(fact.replicas),
  });
  return {
    version,
    models: new Map(models.map((fact) => [fact.config.name, entry(fact)])),
    apps,
  };
}

/** Equal for two tables that say the same; `version` and how long it still takes (`etaMs`) do not count: whoever has a table counts down. */
export function contentOf(table: RoutingTable): string {
  const models = [...table.models].map(([name, { status, ...rest }]) => [
    name,
    { ...rest, status: { phase: status.phase, error: status.error, asleep: status.asleep } },
  ]);
  return JSON.stringify([models, [...table.apps]], (_key, value: unknown) => (value instanceof Map ? [...value] : value));
}
