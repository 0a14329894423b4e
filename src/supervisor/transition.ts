import { again, whileAbsent, whileStarting } from './replica-start.ts';
import { whileAsleep, whileFallingAsleep } from './replica-sleep.ts';
import { whileDraining, whileReady } from './replica-service.ts';
import type { Limits, ReplicaEvent, ReplicaState, Transition } from './replica-state.ts';
import { ended, stay, stopped } from './replica-steps.ts';
import { cleanRecord } from './restart.ts';

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
