import type { SecurityFloor } from '../../plugins/engine-version.ts';
import type { GpuDevice, LostGpu } from '../../supervisor/gpus/devices.ts';

/** What was found on this machine; verdicts follow from it alone. */
export interface Facts {
  readonly node: { readonly version: string; readonly oldest: string };
  readonly config: ConfigFact;
  readonly engines: readonly EngineFact[];
  readonly gpus: GpuFact;
  /** The most GPUs that one replica of a model needs; models that need none are left out. */
  readonly gpuNeeds: readonly { readonly model: string; readonly gpus: number }[];
  /** Infinity: unlimited. Undefined where they cannot be read. */
  readonly openFiles: { readonly soft: number; readonly hard: number } | undefined;
  /** `gateway.limits.max_connections` */
  readonly maxConnections: number;
  readonly directories: readonly DirectoryFact[];
  readonly ports: readonly PortFact[];
  readonly gateway: GatewayFact;
  /** Whether there is Linux's /proc. */
  readonly proc: boolean;
}

export type ConfigFact =
  | { readonly kind: 'none' }
  | { readonly kind: 'valid'; readonly files: string; readonly warnings: number }
  | { readonly kind: 'invalid'; readonly message: string };

export interface EngineFact {
  readonly engine: string;
  /** Executable and leading arguments, as given or looked up. */
  readonly command: string;
  /** Whether a model of the config runs on it. */
  readonly needed: boolean;
  readonly install: string;
  readonly floor: SecurityFloor | undefined;
  readonly found: EngineFinding;
}

export type EngineFinding =
  | { readonly kind: 'missing'; readonly message: string }
  /** Part of this package. */
  | { readonly kind: 'built-in' }
  /** A script whose first line names an interpreter that is not there. */
  | { readonly kind: 'no-interpreter'; readonly path: string; readonly interpreter: string }
  | { readonly kind: 'broken'; readonly path: string; readonly message: string }
  /** `version` undefined: it printed none that can be read. */
  | { readonly kind: 'runs'; readonly path: string; readonly version: string | undefined; readonly python: string | undefined };

export type GpuFact =
  | {
      readonly kind: 'listed';
      readonly devices: readonly GpuDevice[];
      readonly lost: readonly LostGpu[];
      /** Of NVIDIA's driver. */
      readonly driver: string | undefined;
    }
  | { readonly kind: 'broken'; readonly message: string };

export interface DirectoryFact {
  readonly purpose: 'state' | 'cache';
  readonly path: string;
  /** Permission bits; undefined: it is not there yet. */
  readonly mode: number | undefined;
  /** Whether files can be made in it, or it can be made. */
  readonly writable: boolean;
  readonly freeBytes: number;
}

export interface PortFact {
  /** The config's key. */
  readonly key: 'gateway.listen.port' | 'gateway.admin.port';
  readonly address: string;
  readonly use: { readonly kind: 'free' } | { readonly kind: 'ours' } | { readonly kind: 'problem'; readonly message: string };
}

export type GatewayFact =
  | { readonly kind: 'none' }
  | { readonly kind: 'running'; readonly pid: number; readonly config: string }
  /** There is a socket, and no sensible answer on it. */
  | { readonly kind: 'silent'; readonly message: string };
