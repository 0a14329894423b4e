import type { Failure, FailureReason } from './failure.ts';
import { whileAsleep, whileFallingAsleep } from './replica-sleep.ts';
import { asReady, drainUntil, end, givenUp, leave, stay, stopped } from './replica-steps.ts';
import { cleanRecord, recordFailure, recordStart } from './restart.ts';
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

/** As if it had never failed. */
const again: Transition = [{ kind: 'pending', record: cleanRecord }, [{ kind: 'await-turn' }]];

function ended(
  failure: Failure,
  jitter: number,
  run: { readonly record: StartRecord; readonly readyForMs: number | undefined },
  now: number,
  limits: Limits,
): Transition {
  if (failure.permanent) return [{ kind: 'failed', failure }, []];
  const { record, delayMs } = recordFailure(run.record, now, run.readyForMs, jitter, limits.restart);
  if (delayMs === 0) return [{ kind: 'pending', record }, [{ kind: 'await-turn' }]];
  const until = now + delayMs;
  return [{ kind: record.looping ? 'crash-loop' : 'backing-off', until, failure, record }, [{ kind: 'tick-at', time: until }]];
}

/** States in which no process of the replica exists. */
function whileAbsent(
  state: ReplicaState & { kind: 'pending' | 'backing-off' | 'crash-loop' },
  event: ReplicaEvent,
  now: number,
  limits: Limits,
): Transition {
  switch (event.kind) {
    case 'granted': {
      if (state.kind !== 'pending') return stay(state);
      const deadline = now + limits.startupTimeoutMs;
      const record = recordStart(state.record, now, limits.restart);
      return [{ kind: 'starting', deadline, record }, [{ kind: 'launch' }, { kind: 'tick-at', time: deadline }]];
    }
    case 'tick':
      if (state.kind === 'pending') return stay(state);
      if (now < state.until) return [state, [{ kind: 'tick-at', time: state.until }]];
      return [{ kind: 'pending', record: state.record }, [{ kind: 'await-turn' }]];
    case 'retry':
      return state.kind === 'pending' ? stay(state) : again;
    case 'drain':
    case 'leave':
    case 'stop':
      return stay({ kind: 'stopped' });
    case 'gone':
      // What it needs before it can start was not to be had.
      if (state.kind !== 'pending' || event.failure === undefined) return stay(state);
      return ended(
        event.failure,
        event.jitter,
        { record: recordStart(state.record, now, limits.restart), readyForMs: undefined },
        now,
        limits,
      );
    case 'ready':
    case 'mismatch':
    case 'serving':
    case 'condemned':
    case 'exited':
    case 'drained':
    case 'take-back':
    case 'sleep':
    case 'slept':
    case 'wakeful':
    case 'wake':
      return stay(state);
  }
}

function whileStarting(state: ReplicaState & { kind: 'starting' }, event: ReplicaEvent, now: number, limits: Limits): Transition {
  const fail = (reason: FailureReason): Transition => end({ kind: 'restart', reason, readyForMs: undefined, record: state.record }, false);
  switch (event.kind) {
    case 'ready':
      return [{ kind: 'ready', since: now, serving: true, record: state.record }, [{ kind: 'watch' }]];
    case 'mismatch':
      return fail(event);
    case 'exited':
    case 'condemned':
      return fail(event.reason);
    case 'gone':
      // The launch itself failed: there never was a process.
      return event.failure === undefined
        ? stay(state)
        : ended(event.failure, event.jitter, { record: state.record, readyForMs: undefined }, now, limits);
    case 'tick':
      return now < state.deadline ? [state, [{ kind: 'tick-at', time: state.deadline }]] : fail({ kind: 'start-timeout' });
    case 'drain':
    case 'stop':
      // A loading engine has nothing to lose, and some ignore SIGTERM while they load.
      return end(stopped, false);
    case 'leave':
      return leave;
    case 'granted':
    case 'serving':
    case 'drained':
    case 'take-back':
    case 'retry':
    case 'sleep':
    case 'slept':
    case 'wakeful':
    case 'wake':
      return stay(state);
  }
}

function whileReady(state: ReplicaState & { kind: 'ready' }, event: ReplicaEvent, now: number): Transition {
  switch (event.kind) {
    case 'serving':
      return state.serving === event.serving ? stay(state) : stay({ ...state, serving: event.serving });
    case 'condemned':
    case 'exited':
      return givenUp(state, event.reason, now);
    case 'sleep':
      return stay({ kind: 'falling-asleep', deadline: undefined, since: state.since, record: state.record });
    case 'drain':
      return drainUntil(event.deadline, state);
    case 'leave':
      return leave;
    case 'stop':
      return end(stopped, !event.now);
    case 'granted':
    case 'ready':
    case 'mismatch':
    case 'gone':
    case 'tick':
    case 'drained':
    case 'take-back':
    case 'retry':
    case 'slept':
    case 'wakeful':
    case 'wake':
      return stay(state);
  }
}

function whileDraining(state: ReplicaState & { kind: 'draining' }, event: ReplicaEvent, now: number): Transition {
  switch (event.kind) {
    case 'drained':
      return end(stopped, true);
    case 'exited':
    case 'condemned':
      // What it still has cannot end well.
      return end(stopped, false);
    case 'tick':
      return now < state.deadline ? [state, [{ kind: 'tick-at', time: state.deadline }]] : end(stopped, true);
    case 'drain':
      // A later wish can only shorten the wait: the first one may have been promised to somebody.
      if (event.deadline >= state.deadline) return stay(state);
      return drainUntil(event.deadline, state);
    case 'take-back':
      return asReady(state.since, state);
    case 'leave':
      // It is on its way out: the next gateway would not want it either.
      return end(stopped, true);
    case 'stop':
      return end(stopped, !event.now);
    case 'granted':
    case 'ready':
    case 'mismatch':
    case 'serving':
    case 'gone':
    case 'retry':
    case 'sleep':
    case 'slept':
    case 'wakeful':
    case 'wake':
      return stay(state);
  }
}

function whileStopping(state: ReplicaState & { kind: 'stopping' }, event: ReplicaEvent, now: number, limits: Limits): Transition {
  switch (event.kind) {
    case 'gone':
      if (state.next.kind === 'stopped') return stay({ kind: 'stopped' });
      return event.failure === undefined
        ? [{ kind: 'pending', record: state.next.record }, [{ kind: 'await-turn' }]]
        : ended(event.failure, event.jitter, state.next, now, limits);
    case 'drain':
    case 'leave':
    case 'stop': {
      const hurry = event.kind === 'stop' && event.now;
      const after: ReplicaState = state.next.kind === 'stopped' ? state : { kind: 'stopping', next: stopped };
      return [after, hurry ? [{ kind: 'terminate', polite: false }] : []];
    }
    case 'retry':
      return stay(state.next.kind === 'stopped' ? state : { ...state, next: { ...state.next, record: cleanRecord } });
    case 'granted':
    case 'ready':
    case 'mismatch':
    case 'serving':
    case 'condemned':
    case 'exited':
    case 'tick':
    case 'drained':
    case 'take-back':
    case 'sleep':
    case 'slept':
    case 'wakeful':
    case 'wake':
      return stay(state);
  }
}

/** The next state and what to do for it. Total: an event that means nothing in a state leaves it as it is. */
export function transition(state: ReplicaState, event: ReplicaEvent, now: number, limits: Limits): Transition {
  switch (state.kind) {
    case 'pending':
    case 'backing-off':
    case 'crash-loop':
      return whileAbsent(state, event, now, limits);
    case 'starting':
      return whileStarting(state, event, now, limits);
    case 'ready':
      return whileReady(state, event, now);
    case 'falling-asleep':
      return whileFallingAsleep(state, event, now, limits);
    case 'asleep':
    case 'waking':
      return whileAsleep(state, event, now, limits);
    case 'draining':
      return whileDraining(state, event, now);
    case 'stopping':
      return whileStopping(state, event, now, limits);
    case 'failed':
      if (event.kind === 'retry') return again;
      return event.kind === 'drain' || event.kind === 'leave' || event.kind === 'stop' ? stay({ kind: 'stopped' }) : stay(state);
    case 'stopped':
      return stay(state);
  }
}
