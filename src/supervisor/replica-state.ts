import type { Failure, FailureReason } from './failure.ts';
import type { RestartLimits, StartRecord } from './restart.ts';

/** Where `stopping` leads once nothing of the run is left. */
export type AfterStop =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'restart'; readonly reason: FailureReason; readonly readyForMs: number | undefined; readonly record: StartRecord };

/** All times are clock times in milliseconds. */
export type ReplicaState =
  /** Waits for its turn to start. */
  | { readonly kind: 'pending'; readonly record: StartRecord }
  /** Launched, or being launched; not ready before `deadline` is a failure. */
  | { readonly kind: 'starting'; readonly deadline: number; readonly record: StartRecord }
  /** The only state in which the routing table has the replica, and only while it is `serving`: it answers its health probe. */
  | { readonly kind: 'ready'; readonly since: number; readonly serving: boolean; readonly record: StartRecord }
  /** Left the table, to sleep; told to its engine once nothing is in flight: not asleep before `deadline` is a failure. */
  | { readonly kind: 'falling-asleep'; readonly deadline: number | undefined; readonly since: number; readonly record: StartRecord }
  /** Its process is there, and keeps its GPUs; its engine has given their memory back. `since`, as in the states beside it: ready. */
  | { readonly kind: 'asleep'; readonly since: number; readonly record: StartRecord }
  /** As starting, but nothing is launched; not ready before `deadline` leads to a start. */
  | { readonly kind: 'waking'; readonly deadline: number; readonly since: number; readonly record: StartRecord }
  /** Gets nothing new; ends what it has, until `deadline` at the latest. It may still be taken back. */
  | { readonly kind: 'draining'; readonly deadline: number; readonly since: number; readonly record: StartRecord }
  /** Its processes are being ended; `next` decides what follows. */
  | { readonly kind: 'stopping'; readonly next: AfterStop }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'backing-off'; readonly until: number; readonly failure: Failure; readonly record: StartRecord }
  /** As backing-off, but it failed so often that nobody should wait for it. */
  | { readonly kind: 'crash-loop'; readonly until: number; readonly failure: Failure; readonly record: StartRecord }
  /** A start failed for a reason that only a changed config can cure. */
  | { readonly kind: 'failed'; readonly failure: Failure };

export type ReplicaEvent =
  /** Its turn to start has come. */
  | { readonly kind: 'granted' }
  | { readonly kind: 'ready' }
  /** What answers on its port does not serve our model. */
  | { readonly kind: 'mismatch'; readonly detail: string }
  /** Whether it may get requests has changed. */
  | { readonly kind: 'serving'; readonly serving: boolean }
  /** Nobody needs it now. */
  | { readonly kind: 'sleep' }
  /** Its engine says that it sleeps, or that it cannot. */
  | { readonly kind: 'slept' }
  | { readonly kind: 'wakeful' }
  | { readonly kind: 'wake' }
  /** It is given up: by its watch, because its GPU is lost, or because it does not wake. */
  | { readonly kind: 'condemned'; readonly reason: FailureReason }
  /** The engine's process has ended; others of its group may live on. */
  | { readonly kind: 'exited'; readonly reason: FailureReason & { readonly kind: 'exited' } }
  /** No process of the run is left. `failure` says why it ended, unless it was asked to; 0 ≤ `jitter` < 1. */
  | { readonly kind: 'gone'; readonly failure: Failure | undefined; readonly jitter: number }
  | { readonly kind: 'tick' }
  | { readonly kind: 'drain'; readonly deadline: number }
  /** It is wanted after all. */
  | { readonly kind: 'take-back' }
  /** Every worker has applied a table without it, and nothing is in flight. */
  | { readonly kind: 'drained' }
  /** To be left running for the next gateway, where there is a process worth it. */
  | { readonly kind: 'leave' }
  /** Somebody wants it tried again now, whatever it failed with; means something only where no process serves or starts. */
  | { readonly kind: 'retry' }
  /** `now`: without waiting for requests, nor for the engine's own goodbye. */
  | { readonly kind: 'stop'; readonly now: boolean };

export type Effect =
  | { readonly kind: 'await-turn' }
  /** Start the process, then probe it until it is ready. */
  | { readonly kind: 'launch' }
  | { readonly kind: 'watch' }
  /** Tell the engine to sleep. */
  | { readonly kind: 'sleep' }
  /** Tell it to wake, then probe it until it is ready. */
  | { readonly kind: 'wake' }
  /** End the run's processes; `polite` gives the engine its grace, else they are killed. Repeated, it only hurries. */
  | { readonly kind: 'terminate'; readonly polite: boolean }
  /** Let go of the run's processes; they run on. */
  | { readonly kind: 'release' }
  /** Send a `tick` at `time`, unless the state's kind has changed by then. */
  | { readonly kind: 'tick-at'; readonly time: number };

export interface Limits {
  readonly restart: RestartLimits;
  readonly startupTimeoutMs: number;
  /** For falling asleep, and for waking. */
  readonly sleepTimeoutMs: number;
}

export type Transition = readonly [ReplicaState, readonly Effect[]];
