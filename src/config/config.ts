import type { ModelName } from '../core/ids.ts';
import type { GatewaySettings } from '../core/messages.ts';
import type { ModelLimits } from '../core/table.ts';

/** One `llm_configs` entry, resolved: paths absolute, times in milliseconds, defaults filled in. */
export interface ModelConfig {
  readonly name: ModelName;
  /** A local path (absolute), or a reference that the engine itself resolves. */
  readonly source: { readonly kind: 'path' | 'reference'; readonly value: string };
  /** Engine plugin's name, lower case. */
  readonly engine: string;
  /** `engine_kwargs`, accepted by the plugin. */
  readonly engineOptions: Readonly<Record<string, unknown>>;
  /** `runtime_env.env_vars` */
  readonly env: Readonly<Record<string, string>>;
  readonly replicas: number;
  /** Requests a replica takes at once; undefined: the engine's own concurrency. */
  readonly maxOngoing: number | undefined;
  readonly limits: ModelLimits;
  readonly startupTimeoutMs: number;
  readonly health: { readonly periodMs: number; readonly timeoutMs: number };
  /** Longest wait for in-flight requests when a replica is drained. */
  readonly drainTimeoutMs: number;
}

/** The whole config, resolved. */
export interface Config {
  /** Absolute path of the file it came from. */
  readonly file: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly admin: { readonly host: string; readonly port: number };
  readonly workers: number;
  /** Logs and run-time state live here. */
  readonly stateDir: string;
  /** Ports for engines: the first, and how many. */
  readonly enginePorts: { readonly first: number; readonly count: number };
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly settings: GatewaySettings;
  /** Longest wait for in-flight requests when the gateway stops. */
  readonly drainTimeoutMs: number;
  /** Engine name → executable and leading arguments, where the config gives them. */
  readonly engineCommands: ReadonlyMap<string, readonly [string, ...string[]]>;
  readonly models: readonly ModelConfig[];
  /** Route prefix (`''` for the root) → model ids served there. */
  readonly apps: ReadonlyMap<string, readonly ModelName[]>;
}
