import type { FailureReason } from './failure.ts';
import type { Limits, ReplicaEvent, ReplicaState, Transition } from './replica-state.ts';
import { end, ended, leave, stay, stopped } from './replica-steps.ts';
import { cleanRecord, recordStart } from './restart.ts';

/** As if it had never failed. */
export const again: Transition = [{ kind: 'pending', record: cleanRecord }, [{ kind: 'await-turn' }]];

/** States in which no process of the replica exists. */
export function whileAbsent(
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

export function whileStarting(state: ReplicaState & { kind: 'starting' }, event: ReplicaEvent, now: number, limits: Limits): Transition {
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
