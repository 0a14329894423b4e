import type { Limits, ReplicaEvent, ReplicaState, Transition } from './replica-state.ts';
import { asReady, drainUntil, end, ending, givenUp, isEnding, stay, stopped } from './replica-steps.ts';
import type { Served } from './replica-steps.ts';

function wakeUp({ since, record }: Served, now: number, { sleepTimeoutMs }: Limits): Transition {
  const deadline = now + sleepTimeoutMs;
  return [{ kind: 'waking', deadline, since, record }, [{ kind: 'wake' }, { kind: 'tick-at', time: deadline }]];
}

export function whileFallingAsleep(
  state: ReplicaState & { kind: 'falling-asleep' },
  event: ReplicaEvent,
  now: number,
  limits: Limits,
): Transition {
  if (isEnding(event)) return ending(state, event, now);
  const { deadline } = state;
  switch (event.kind) {
    case 'drained': {
      if (deadline !== undefined) return stay(state);
      const until = now + limits.sleepTimeoutMs;
      return [{ ...state, deadline: until }, [{ kind: 'sleep' }, { kind: 'tick-at', time: until }]];
    }
    case 'wake':
      // Once its engine has been told, only what comes of that can be gone on from.
      return deadline === undefined ? asReady(state.since, state) : stay(state);
    case 'slept':
      return stay({ kind: 'asleep', since: state.since, record: state.record });
    case 'wakeful':
      // What it did of it before it refused is not known: it is woken and looked at like one that slept.
      return wakeUp(state, now, limits);
    case 'tick':
      if (deadline === undefined) return stay(state);
      return now < deadline ? [state, [{ kind: 'tick-at', time: deadline }]] : givenUp(state, { kind: 'not-asleep' }, now);
    case 'drain':
      return deadline === undefined ? drainUntil(event.deadline, state) : end(stopped, true);
    case 'granted':
    case 'ready':
    case 'mismatch':
    case 'serving':
    case 'sleep':
    case 'gone':
    case 'take-back':
    case 'retry':
      return stay(state);
  }
}

/** Asleep, and while it wakes: nothing is in flight. */
export function whileAsleep(
  state: ReplicaState & { kind: 'asleep' | 'waking' },
  event: ReplicaEvent,
  now: number,
  limits: Limits,
): Transition {
  if (isEnding(event)) return ending(state, event, now);
  switch (event.kind) {
    case 'wake':
      return state.kind === 'asleep' ? wakeUp(state, now, limits) : stay(state);
    case 'ready':
      return state.kind === 'waking' ? asReady(now, state) : stay(state);
    case 'mismatch':
      return state.kind === 'waking' ? givenUp(state, event, now) : stay(state);
    case 'tick':
      if (state.kind === 'asleep') return stay(state);
      return now < state.deadline
        ? [state, [{ kind: 'tick-at', time: state.deadline }]]
        : givenUp(state, { kind: 'not-awake', detail: undefined }, now);
    case 'drain':
      return end(stopped, true);
    case 'granted':
    case 'serving':
    case 'sleep':
    case 'slept':
    case 'wakeful':
    case 'gone':
    case 'drained':
    case 'take-back':
    case 'retry':
      return stay(state);
  }
}
