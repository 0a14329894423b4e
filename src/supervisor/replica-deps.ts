import type pino from 'pino';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import type { StartAdapter } from './adapters/started.ts';
import type { CallEngine } from './engine-call.ts';
import type { Failure } from './failure.ts';
import type { GpuGrant } from './gpus/holds.ts';
import type { GpuWait } from './gpus/ledger.ts';
import type { HttpGet } from './http-get.ts';
import type { ReplicaProvider } from './providers/provider.ts';
import type { RestartLimits } from './restart.ts';
import type { StartHistory } from './start-history.ts';
import type { Turn } from './start-queue.ts';
import type { Weights } from './weights.ts';

/** What a replica needs of others. */
export interface ReplicaDeps {
  readonly clock: Clock;
  readonly provider: ReplicaProvider;
  readonly get: HttpGet;
  /** Left out: over HTTP. */
  readonly call?: CallEngine | undefined;
  readonly board: LoadBoard;
  readonly log: pino.Logger;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly restart: RestartLimits;
  readonly history: StartHistory;
  /** Of the gateway's own environment; no text that is shown may have one. */
  readonly secrets: readonly string[];
  /** Without one, no model's files can be brought here. */
  readonly weights?: Weights | undefined;
  /** LoRA adapters that its next run is started with; each is to be released. */
  adapters(signal: AbortSignal): Promise<readonly StartAdapter[]>;
  /** A run did not start because of one of them. @param handle as `adapters()` has it */
  blame(handle: string, why: string): void;
  /** A run of it has failed, or a start. */
  failed(failure: Failure): void;
  /** Waits for the GPUs of its next run; `waits` is told why it must, each time that changes. */
  gpus(waits: (wait: GpuWait | undefined) => void, signal: AbortSignal): Promise<GpuGrant>;
  /** Waits for the right to start a process. */
  turn(signal: AbortSignal): Promise<Turn>;
  /** A run is over; its slot may be given to another once it is quiet. */
  retire(turn: Turn): void;
  /** Something that `report()` or `fact()` shows has changed. */
  changed(): void;
}
