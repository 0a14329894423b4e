import type { Failure, FailureReason } from './failure.ts';
import type { AfterStop, Limits, ReplicaEvent, ReplicaState, Transition } from './replica-state.ts';
import { recordFailure } from './restart.ts';
import type { StartRecord } from './restart.ts';

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

/** Nothing of a failed run, or of the try at one, is left. */
export function ended(
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

/** What ends a run that has served, whatever its state, until its end begins. */
type Ending = ReplicaEvent & { readonly kind: 'condemned' | 'exited' | 'leave' | 'stop' };

export const isEnding = (event: ReplicaEvent): event is Ending => ['condemned', 'exited', 'leave', 'stop'].includes(event.kind);

export function ending(state: Served, event: Ending, now: number): Transition {
  switch (event.kind) {
    case 'condemned':
    case 'exited':
      return givenUp(state, event.reason, now);
    case 'leave':
      return leave;
    case 'stop':
      return end(stopped, !event.now);
  }
}
