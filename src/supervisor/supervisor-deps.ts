import type pino from 'pino';
import type { Config } from '../config/config.ts';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import type { GatewayError } from '../core/errors.ts';
import type { AdapterName, ModelName } from '../core/ids.ts';
import type { RoutingTable } from '../core/table.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import type { AdapterDeskDeps } from './adapters/desk.ts';
import type { CallEngine } from './engine-call.ts';
import type { GpuLedger } from './gpus/ledger.ts';
import type { HttpGet } from './http-get.ts';
import type { ReplicaProvider } from './providers/provider.ts';
import type { RestartLimits } from './restart.ts';
import type { StartHistory } from './start-history.ts';
import type { Weights } from './weights.ts';

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly provider: ReplicaProvider;
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly board: LoadBoard;
  /** Hands a table to every worker. */
  publish(table: RoutingTable): void;
  /** Answers all who wait for an adapter of a model. Left out: nobody does. */
  refuse?(model: ModelName, adapter: AdapterName, error: GatewayError): void;
  /** Tells clients which adapters of a model there are, loaded or not. Left out: nobody asks. */
  showAdapters?(model: ModelName, names: readonly AdapterName[]): void;
  /** Lowest version that every live worker has applied; Infinity when none lives. */
  appliedVersion(): number;
  readonly log: pino.Logger;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  /** Unix time. */
  wallClockSeconds(): number;
  readonly get?: HttpGet;
  readonly call?: CallEngine;
  readonly restart?: RestartLimits;
  /** What starts took; without one, only its own are known. */
  readonly history?: StartHistory;
  /** Of the gateway's own environment: engines inherit some, and no text that is shown may have one. Left out: none. */
  readonly secrets?: readonly string[];
  /** Without one, no model's files can be brought here. */
  readonly weights?: Weights;
  /** Where the adapters of a model come from; left out: from this machine only. */
  readonly adapterSource?: AdapterDeskDeps['sourceOf'];
  /** Its own, and closed by `stop()`; without one there are no GPUs. */
  readonly gpus?: GpuLedger;
}

/** What a config says of models and GPUs. */
export type Desired = Pick<Config, 'models' | 'apps' | 'engineCommands'> & Partial<Pick<Config, 'gpus' | 'acceleratorMatch'>>;
