import type { AdapterName, ModelName } from '../core/ids.ts';
import type { InputPolicy } from '../core/input-limits.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { ModelLimits, RoutingPolicy, UnsupportedParams } from '../core/table.ts';
import type { RemoteReference } from '../models/reference.ts';
import type { ModelTraits } from '../plugins/engine-plugin.ts';

/** A replica that is run by others. */
export interface StaticUpstream {
  /** Origin, `http://` or `https://`. */
  readonly url: string;
  /** File with the bearer key; read at start. */
  readonly keyFile: string | undefined;
  /** File with the certificate authority to verify https by, besides the system's. */
  readonly caFile: string | undefined;
}

/** How many replicas a model has, by its load: Ray's `autoscaling_config`, resolved. */
export interface Autoscaling {
  readonly min: number;
  readonly max: number;
  /** Replicas that it starts with. */
  readonly initial: number;
  /** Requests, sent and waiting, for each replica; `source` tells whether the file says so, or the engine's concurrency does. */
  readonly target: { readonly ongoing: number; readonly source: 'config' | 'engine' };
  readonly upscalingFactor: number;
  readonly downscalingFactor: number;
  readonly upscaleDelayMs: number;
  readonly downscaleDelayMs: number;
  /** When the last replica goes, where `min` is 0: as long as Ray would wait, or once no request has been there for so long. */
  readonly toZero: { readonly kind: 'delay' | 'idle'; readonly ms: number };
  /** Replicas sleep once no request has been there for so long; left out: never. */
  readonly sleepMs?: number;
  readonly lookBackMs: number;
  readonly aggregation: 'mean' | 'max' | 'min';
}

/** Where an adapter is, or below which many are. */
export type AdapterPlace =
  /** Absolute, on this machine. */
  | { readonly kind: 'path'; readonly value: string }
  /** Brought here when it is asked for. `value`: the reference as it is shown. */
  | { readonly kind: 'remote'; readonly value: string; readonly reference: RemoteReference };

/** Where a model's adapters are found by their names. */
export type AdapterRoot =
  /** Has a directory (or a GGUF file) for each. */
  | AdapterPlace
  /** Repositories of the model hub: `name` is one of `owner`; without one, adapters are named `owner/name`. */
  | { readonly kind: 'hub'; readonly value: string; readonly owner: string | undefined };

/** The LoRA adapters of a model: `lora_config`. */
export interface Adapters {
  /** `dynamic_lora_loading_path` */
  readonly root: AdapterRoot | undefined;
  /** `adapters`: those with a place of their own, which come first. */
  readonly listed: readonly { readonly name: AdapterName; readonly place: AdapterPlace }[];
  readonly maxPerReplica: number;
  /** How often new adapters and new weights are looked for. */
  readonly refreshMs: number;
  /** The longest that one may take to be brought here; undefined: as long as bytes come. */
  readonly downloadTimeoutMs: number | undefined;
  /** Pickled weights, and code that comes with them, are let through. */
  readonly trustRemoteCode: boolean;
}

/** Where a model's files are. */
export type ModelSource =
  /** A local path (absolute), or a reference that the engine itself resolves. */
  | { readonly kind: 'path' | 'reference'; readonly value: string }
  /** Brought here before the engine starts. `value`: the reference as it is shown. */
  | {
      readonly kind: 'remote';
      readonly value: string;
      readonly reference: RemoteReference;
      /** Pickled weights, and code that comes with the model, are let through. */
      readonly trustRemoteCode: boolean;
    };

/** One `llm_configs` entry, resolved: paths absolute, times in milliseconds, defaults filled in. */
export interface ModelConfig {
  readonly name: ModelName;
  readonly source: ModelSource;
  /** Engine plugin's name, lower case. */
  readonly engine: string;
  /** `engine_kwargs`, accepted by the plugin. */
  readonly engineOptions: Readonly<Record<string, unknown>>;
  /** `runtime_env.env_vars` */
  readonly env: Readonly<Record<string, string>>;
  /** Those that run; with `autoscaling` those that it begins with. */
  readonly replicas: number;
  /** Undefined: their number is fixed. */
  readonly autoscaling?: Autoscaling | undefined;
  /** Names clients may use besides the id. */
  readonly aliases: readonly string[];
  /** `gateway.gpus`: GPUs a replica gets, whatever its engine's parallel sizes say; undefined: what the engine needs. */
  readonly gpus: number | undefined;
  /** Ray's name of the accelerator the file was written for, e.g. `A10G`. */
  readonly acceleratorType: string | undefined;
  /** Of two models that want a GPU the one with the higher number comes first. */
  readonly priority: number;
  /** Executable and leading arguments for this model, instead of its engine's. */
  readonly command: readonly [string, ...string[]] | undefined;
  /** `gateway.unchecked_kwargs`: options that the installed engine's help does not name are let through. */
  readonly uncheckedOptions?: boolean;
  /** What of the config besides `engineOptions` the engine's plugin needs. */
  readonly traits: ModelTraits;
  readonly adapters?: Adapters;
  /** Replicas that somebody else runs: routed to, never started or stopped. Where there are any, none is launched. */
  readonly upstreams: readonly StaticUpstream[];
  /** Requests a replica takes at once; undefined: the engine's own concurrency. */
  readonly maxOngoing: number | undefined;
  readonly limits: ModelLimits;
  readonly routing: RoutingPolicy;
  readonly unsupportedParams: UnsupportedParams;
  readonly input: InputPolicy;
  readonly resumeStreams: boolean;
  readonly startupTimeoutMs: number;
  /** Without progress on any request, after which an engine counts as hung. */
  readonly hangTimeoutMs: number;
  readonly health: { readonly periodMs: number; readonly timeoutMs: number };
  /** Longest wait for in-flight requests when a replica is drained. */
  readonly drainTimeoutMs: number;
}

/** The whole config, resolved. */
export interface Config {
  /** Absolute paths of the files it came from, as they were given: at least one. */
  readonly files: readonly string[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly admin: {
    readonly host: string;
    readonly port: number;
    /** `keyDigest` of the key that the listener asks for; undefined: none. */
    readonly sha256: string | undefined;
    /** Names that `Host` may have besides addresses and `localhost`. */
    readonly allowedHosts: readonly string[];
  };
  readonly workers: number;
  /** Logs and run-time state live here. */
  readonly stateDir: string;
  /** Where models are kept that were brought here. */
  readonly cache: {
    /** Absolute. */
    readonly dir: string;
    /** Undefined: as many as the disk has. */
    readonly maxBytes: number | undefined;
  };
  /** GPU indices the gateway may use; undefined: all that there are. */
  readonly gpus: readonly number[] | undefined;
  /** What a card that is not the `accelerator_type` asked for is: a warning, or a reason not to start. */
  readonly acceleratorMatch: 'warn' | 'require';
  /** Ports for engines: the first, and how many. */
  readonly enginePorts: { readonly first: number; readonly count: number };
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** Absolute; undefined: stderr, and a file in the state directory where a person reads the terminal. */
  readonly logFile: string | undefined;
  readonly settings: GatewaySettings;
  /** How long requests are still taken when the gateway stops, with its readiness off. */
  readonly preStopMs: number;
  /** Longest wait for in-flight requests when the gateway stops. */
  readonly drainTimeoutMs: number;
  /** Engine name → executable and leading arguments, where the config gives them. */
  readonly engineCommands: ReadonlyMap<string, readonly [string, ...string[]]>;
  /** `file:` URLs of the modules with engines from outside. */
  readonly plugins: readonly string[];
  readonly models: readonly ModelConfig[];
  /** Route prefix (`''` for the root) → the names clients use there (ids and aliases) → model. */
  readonly apps: ReadonlyMap<string, ReadonlyMap<string, ModelName>>;
}
