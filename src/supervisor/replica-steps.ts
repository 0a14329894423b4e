import type { FailureReason } from './failure.ts';
import type { AfterStop, ReplicaState, Transition } from './replica-state.ts';

export const stopped: AfterStop = { kind: 'stopped' };
export const stay = (state: ReplicaState): Transition => [state, []];

export function end(next: AfterStop, polite: boolean): Transition {
  return [{ kind: 'stopping', next }, [{ kind: 'terminate', polite }]];
}

/** Also of an engine that loads: the next gateway lets it go on. */
export const leave: Transition = [{ kind: 'stopping', next: stopped }, [{ kind: 'release' }]];

export type Served = Pick<ReplicaState & { kind: 'asleep' }, 'since' | 'record'>;

export function drainUntil(deadline: number, { since, record }: Served): Transition {
  return [{ kind: 'draining', deadline, since, record }, [{ kind: 'tick-at', time: deadline }]];
}

/** Of a run that has served. */
export function givenUp({ since, record }: Served, reason: FailureReason, now: number): Transition {
  return end({ kind: 'restart', reason, readyForMs: now - since, record }, false);
}

export const asReady = (since: number, { record }: Served): Transition => [
  { kind: 'ready', since, serving: true, record },
  [{ kind: 'watch' }],
];
