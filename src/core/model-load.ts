import type { ModelName } from './ids.ts';

/** A model's load and replicas at one moment: what the control plane decides its number of replicas by. */
export interface ModelLoad {
  readonly name: ModelName;
  /** Requests that wait for a replica, over all workers. */
  readonly waiting: number;
  /** Requests on the replicas that serve. */
  readonly inFlight: number;
  /** Grows, and wraps, with what the replicas send: whether it has moved tells of requests too short to be seen in flight. */
  readonly progress: number;
  /** Replicas that serve. */
  readonly running: number;
  /** Replicas that sleep, or are about to. */
  readonly asleep: number;
  /** Replicas that are wanted. */
  readonly wanted: number;
  /** Clock time since when the replica that serves for the shortest time does; undefined where none serves. */
  readonly newestSince: number | undefined;
  /** GPUs (or parts of them, by memory) that each of its replicas has. */
  readonly gpusEach: number;
  /** Equal for two models whose replicas ask for the same GPUs. */
  readonly gpuNeed: string;
  readonly priority: number;
  /** Replicas on their way out that still hold GPUs. */
  readonly leaving: number;
  /** Why a replica of it waits for GPUs that others hold; undefined where none does. */
  readonly lacksGpus: string | undefined;
}
