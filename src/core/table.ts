import type { ErrorCode } from './errors.ts';
import type { InputPolicy } from './input-limits.ts';
import type { AdapterName, ModelName, ReplicaId, Slot } from './ids.ts';

/** An adapter that a replica's engine has loaded. */
export interface LoadedAdapter {
  /** What the engine knows it by. */
  readonly handle: string;
  /** Its own cells on the load board: requests that use it there, and how often it was picked. Left out where it is never unloaded. */
  readonly slot?: Slot;
}

/** A replica that may get requests now. */
export interface ReplicaView {
  readonly id: ReplicaId;
  /** Its cells on the load board. A slot is reused only after every worker has applied a table without the replica and its count is zero. */
  readonly slot: Slot;
  /** Its place among the replicas of its model: the same over restarts, so that what is bound to it comes back to it. */
  readonly index: number;
  /** Origin of the engine's HTTP server, e.g. `http://127.0.0.1:20001`. */
  readonly upstream: string;
  /** Bearer key the engine was started with; empty where it asks for none. */
  readonly apiKey: string;
  /** Certificate authority (PEM) to verify its https by, besides the system's. */
  readonly ca?: string;
  /** Requests it takes at once; more wait. */
  readonly maxInFlight: number;
  /** LoRA adapters that requests may name there now. */
  readonly adapters?: ReadonlyMap<AdapterName, LoadedAdapter>;
}

/** Why a model cannot serve now, and for how long: what Retry-After and 503 bodies say. */
export interface ModelStatus {
  /** Has no replica because nobody asks for it: the first request starts one. */
  readonly asleep?: true;
  /** `ready`, or what the nearest replica is doing: `starting`, `loading model`, `backing off`, … */
  readonly phase: string;
  /** Milliseconds until a replica is expected to be ready, counted from the table's publication, where that can be told. */
  readonly etaMs?: number;
  /** Set when the last start failed. */
  readonly error?: {
    readonly code: ErrorCode;
    readonly message: string;
    /** True when nobody should wait: no further start without a change, or a crash loop. Requests are answered at once. */
    readonly permanent: boolean;
  };
}

export interface ModelLimits {
  /** Requests that may wait for a replica, per worker thread; −1 for no limit. */
  readonly maxWaiting: number;
  readonly queueTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  /** Longest silence between two bytes of a reply that has begun. */
  readonly idleTimeoutMs: number;
}

/** Which replica a request prefers among those that can take it. */
export type RoutingPolicy =
  | { readonly kind: 'least-in-flight' }
  /** The same one for the same session: by the first of these headers (lower case) that the request has, else by `prompt_cache_key` or `user`. */
  | { readonly kind: 'sticky'; readonly headers: readonly string[] }
  /** The same one for prompts that begin alike, up to and including the first user message: it has them in its KV cache. */
  | { readonly kind: 'prefix' };

/** What becomes of parameters that the engine cannot honour: left out silently, left out and named in a header, or an error. */
export type UnsupportedParams = 'drop' | 'warn' | 'reject';

/** What a model's engine can do, as far as it has told; what is left out is not known. */
export interface Capabilities {
  /** Tokens of the longest prompt and reply together. */
  readonly maxModelLen?: number;
  /** Takes images. */
  readonly vision?: boolean;
  /** Gives embeddings. */
  readonly embeddings?: boolean;
  /** Shows the model the tools that a request offers. */
  readonly tools?: boolean;
}

export interface ModelEntry {
  /** Engine plugin whose dialect the workers use. */
  readonly engine: string;
  /** Slot whose in-flight cell counts the requests waiting for this model. */
  readonly waiting: Slot;
  /** Unix seconds of the model's first appearance in this process: `created` of its model card. */
  readonly created: number;
  readonly status: ModelStatus;
  readonly limits: ModelLimits;
  readonly routing: RoutingPolicy;
  readonly unsupportedParams: UnsupportedParams;
  readonly input: InputPolicy;
  /** Whether a stream whose replica dies is gone on with by another one. */
  readonly resumeStreams: boolean;
  /** Of a replica that runs; left out until one has told. */
  readonly capabilities?: Capabilities;
  /** Whether it has adapters: which, the control plane knows. Left out: none. */
  readonly lora?: boolean;
  readonly replicas: readonly ReplicaView[];
}

/** An immutable snapshot of all that workers need to route; structured-clone safe. */
export interface RoutingTable {
  /** Grows by one with each snapshot. */
  readonly version: number;
  readonly models: ReadonlyMap<ModelName, ModelEntry>;
  /** Route prefix (`''` for the root) → the ids its clients use → model; one id may stand under several prefixes. */
  readonly apps: ReadonlyMap<string, ReadonlyMap<string, ModelName>>;
  /** Of what the holder of a key sees: `apps` before the models that the key may not use were left out. */
  readonly unrestricted?: RoutingTable['apps'];
}

export const emptyTable: RoutingTable = { version: 0, models: new Map(), apps: new Map() };
