import type { ReplicaEvent, ReplicaState, Transition } from './replica-state.ts';
import { asReady, drainUntil, end, ending, isEnding, stay, stopped } from './replica-steps.ts';

export function whileReady(state: ReplicaState & { kind: 'ready' }, event: ReplicaEvent, now: number): Transition {
  if (isEnding(event)) return ending(state, event, now);
  switch (event.kind) {
    case 'serving':
      return state.serving === event.serving ? stay(state) : stay({ ...state, serving: event.serving });
    case 'sleep':
      return stay({ kind: 'falling-asleep', deadline: undefined, since: state.since, record: state.record });
    case 'drain':
      return drainUntil(event.deadline, state);
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

export function whileDraining(state: ReplicaState & { kind: 'draining' }, event: ReplicaEvent, now: number): Transition {
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
