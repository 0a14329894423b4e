import { z } from 'zod';
import type { Access } from '../core/access.ts';
import type { ScaleReport } from '../autoscale/scaler.ts';
import type { ReplicaId } from '../core/ids.ts';
import type { AdaptersReport } from '../supervisor/adapters/report.ts';
import type { GpuReport } from '../supervisor/gpus/ledger.ts';
import type { LaunchPlan } from '../supervisor/launch-plan.ts';
import type { ModelReport } from '../supervisor/report.ts';
import type { EngineAddress } from '../supervisor/run.ts';
import type { ConfigChange } from './changes.ts';

/** What `GET /api/status` says. */
export interface StatusReply {
  readonly pid: number;
  /** Absolute paths of the config files. */
  readonly config: readonly string[];
  /** The address that the data plane listens on; `0.0.0.0` and `::` are any. */
  readonly dataHost: string;
  /** Of the data plane, once it is known. */
  readonly dataPort: number;
  /** The names clients may use, ids and aliases, by the route prefix they stand under (`''`: none). */
  readonly apps: readonly { readonly prefix: string; readonly names: readonly string[] }[];
  /** On the clock that the times of replicas are on, in milliseconds. */
  readonly now: number;
  readonly models: readonly ModelReport[];
  /** Those the gateway knows of: they are looked for when a replica first needs one. */
  readonly gpus: readonly GpuReport[];
}

/** What a reload did. */
export interface ChangeReply extends ConfigChange {
  /** `file:line:column: …` of what was accepted and has no effect. */
  readonly warnings: readonly string[];
}

/** What `GET /api/plan` says that a reload would do, and what replicas it would come to. */
export interface PlanReply extends ChangeReply {
  /** Of the gateway. */
  readonly pid: number;
  readonly launch: LaunchPlan;
}

/** How reading the config again went; the start counts as the first time. */
export interface ReloadReport {
  readonly lastSuccessful: boolean;
  /** Unix seconds. */
  readonly lastSuccessAtS: number;
}

export interface ScaleReply {
  readonly model: string;
  readonly from: number;
  readonly to: number;
  /** Whether its load goes on to change the number. */
  readonly autoscaled: boolean;
}

/** What a restart has begun; it does not wait for the end. */
export interface RestartReply {
  /** `replaced`: it serves until a new one does, or makes room for it where no GPU is free; `retried`: it had failed, and starts now. */
  readonly replicas: readonly { readonly model: string; readonly index: number; readonly how: 'replaced' | 'retried' }[];
}

/** The LoRA adapters of models that have some. */
export interface AdaptersReply {
  readonly models: readonly (AdaptersReport & {
    readonly model: string;
    /** All that were found, loaded or not, sorted; only where they were asked for. */
    readonly names?: readonly string[] | undefined;
  })[];
}

/** What became of an adapter; an engine that takes it at its start only is replaced after that. */
export interface AdapterChangeReply {
  readonly model: string;
  readonly adapter: string;
  /** Indices of the replicas that have it, or that it leaves. */
  readonly replicas: readonly number[];
}

/** How to stop: at most `drainMs` (undefined: as the config says) for requests to end, or at once. */
export type StopHow = { readonly kind: 'drain'; readonly drainMs: number | undefined } | { readonly kind: 'now' };

export interface StopReply {
  readonly pid: number;
}

/** One line of `GET /api/logs`, which is newline-delimited JSON. */
export interface LogLine {
  /** E.g. `smollm2-135m #0`. */
  readonly replica: string;
  readonly line: string;
}

/** Replicas a model can be scaled to; the load board has room for no more. */
const mostReplicas = 1024;

export const emptyBody = z.strictObject({});
/** The longest that a stop waits for requests: a day. */
const longestDrainS = 86_400;
/** `drain_s`: how long requests may take to end, instead of the config's `timeouts.drain_s`; `now`: they are cut off. */
export const stopBody = z.union([
  z.strictObject({ drain_s: z.number().min(0).max(longestDrainS).optional() }),
  z.strictObject({ now: z.literal(true) }),
]);
export const scaleBody = z.strictObject({ model: z.string(), replicas: z.int().min(0).max(mostReplicas) });
/** `target`: a model, or a replica as `model #0` or by its id; all when left out. */
export const restartBody = z.strictObject({ target: z.string().optional() });
/** `adapter`: as clients name it, `model:adapter`. */
export const adapterBody = z.strictObject({ adapter: z.string() });
/** `model`: all that have adapters when left out. */
export const adaptersBody = z.strictObject({ model: z.string().optional() });
/** `found`: with the names of all that were found, loaded or not. */
export const adaptersQuery = z.strictObject({ model: z.string().optional(), found: z.stringbool().default(false) });
const absolutePath = z.string().startsWith('/');
/** `config` may be repeated. */
export const planQuery = z.strictObject({
  config: z.union([z.array(absolutePath).min(1), absolutePath.transform((path) => [path])]).optional(),
});
export const logsQuery = z.strictObject({
  /** A model, or a replica as `model #0`, `model#0` or by its id; all when left out. */
  target: z.string().optional(),
  lines: z.coerce.number().int().min(0).max(100_000).default(100),
  follow: z.stringbool().default(false),
});

/** What the admin API can make a running gateway do. All throw GatewayError: `config_invalid`, `model_not_found`, `request_invalid`. */
export interface Control {
  status(): StatusReply;
  /** Who may use the API now. */
  access(): Access;
  /** A text of an engine's log, as it may be shown. */
  redact(text: string): string;
  /** How an engine is asked; undefined once its run is over. */
  engine(id: ReplicaId): EngineAddress | undefined;
  /** Changes nothing. @param config absolute paths of other files than the gateway's own */
  plan(config: readonly string[] | undefined): Promise<PlanReply>;
  reload(): Promise<ChangeReply>;
  reloads(): ReloadReport;
  scale(model: string, replicas: number): ScaleReply;
  /** Of the models whose number of replicas follows their load. */
  autoscale(): readonly ScaleReport[];
  /** Begins to give replicas a new process each. @param target as in `restartBody` */
  restart(target: string | undefined): RestartReply;
  readonly adapters: {
    /** @throws GatewayError `model_not_found` */
    list(model: string | undefined, found: boolean): AdaptersReply;
    /** @throws GatewayError also `adapter_not_found`, `adapter_invalid`, `adapter_unavailable` */
    load(adapter: string): Promise<AdapterChangeReply>;
    /** @throws GatewayError also `adapter_not_found` */
    unload(adapter: string): AdapterChangeReply;
    refresh(model: string | undefined): Promise<AdaptersReply>;
  };
  /** Begins to stop; does not wait for the end. While it stops already, only `now` changes anything. */
  stop(how: StopHow): StopReply;
}
