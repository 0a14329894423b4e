import type { Failure } from '../../../src/supervisor/failure.ts';
import type { Limits, ReplicaEvent, ReplicaState } from '../../../src/supervisor/replica-state.ts';
import { cleanRecord, defaultRestartLimits } from '../../../src/supervisor/restart.ts';

export const limits: Limits = { restart: defaultRestartLimits, startupTimeoutMs: 60_000, sleepTimeoutMs: 20_000 };
const failure: Failure = { code: 'engine_exited', message: 'died', permanent: false };
const record = cleanRecord;
const loop = { failures: 9, starts: [], looping: true };
const failedBefore = { ...cleanRecord, failures: 1 };
const reason = { kind: 'exited', exit: { code: 1, signal: null } } as const;
/** The clock of every transition. */
export const now = 1000;

/** One of each state, and of each shape of it that decides what follows. */
export const states = {
  pending: { kind: 'pending', record },
  'pending, in a loop': { kind: 'pending', record: loop },
  starting: { kind: 'starting', deadline: 5000, record },
  'starting, late': { kind: 'starting', deadline: 900, record },
  'starting, in a loop': { kind: 'starting', deadline: 5000, record: loop },
  ready: { kind: 'ready', since: 0, serving: true, record },
  'ready, withheld': { kind: 'ready', since: 0, serving: false, record },
  'falling-asleep': { kind: 'falling-asleep', deadline: undefined, since: 0, record },
  'falling-asleep, told': { kind: 'falling-asleep', deadline: 5000, since: 0, record },
  'falling-asleep, late': { kind: 'falling-asleep', deadline: 900, since: 0, record },
  asleep: { kind: 'asleep', since: 0, record },
  waking: { kind: 'waking', deadline: 5000, since: 0, record },
  'waking, late': { kind: 'waking', deadline: 900, since: 0, record },
  draining: { kind: 'draining', deadline: 5000, since: 0, record },
  'draining, late': { kind: 'draining', deadline: 900, since: 0, record },
  'stopping for good': { kind: 'stopping', next: { kind: 'stopped' } },
  'stopping to restart': { kind: 'stopping', next: { kind: 'restart', reason, readyForMs: undefined, record } },
  'stopping, was ready': { kind: 'stopping', next: { kind: 'restart', reason, readyForMs: 5, record } },
  'stopping, was ready, failed before': { kind: 'stopping', next: { kind: 'restart', reason, readyForMs: 5, record: failedBefore } },
  'stopping in a loop': { kind: 'stopping', next: { kind: 'restart', reason, readyForMs: undefined, record: loop } },
  stopped: { kind: 'stopped' },
  'backing-off': { kind: 'backing-off', until: 5000, failure, record },
  'backing-off, due': { kind: 'backing-off', until: 900, failure, record },
  'crash-loop': { kind: 'crash-loop', until: 5000, failure, record: loop },
  'crash-loop, due': { kind: 'crash-loop', until: 900, failure, record: loop },
  failed: { kind: 'failed', failure },
} as const satisfies Record<string, ReplicaState>;

/** One of each event, and of each shape of it that decides what follows. */
export const events = {
  granted: { kind: 'granted' },
  ready: { kind: 'ready' },
  mismatch: { kind: 'mismatch', detail: 'other' },
  serving: { kind: 'serving', serving: true },
  withheld: { kind: 'serving', serving: false },
  condemned: { kind: 'condemned', reason: { kind: 'unresponsive' } },
  exited: { kind: 'exited', reason },
  'gone, failed': { kind: 'gone', failure, jitter: 0.5 },
  'gone, for ever': { kind: 'gone', failure: { ...failure, permanent: true }, jitter: 0.5 },
  'gone, asked': { kind: 'gone', failure: undefined, jitter: 0.5 },
  tick: { kind: 'tick' },
  drain: { kind: 'drain', deadline: 4000 },
  drained: { kind: 'drained' },
  'take-back': { kind: 'take-back' },
  sleep: { kind: 'sleep' },
  slept: { kind: 'slept' },
  wakeful: { kind: 'wakeful' },
  wake: { kind: 'wake' },
  leave: { kind: 'leave' },
  retry: { kind: 'retry' },
  stop: { kind: 'stop', now: false },
  'stop now': { kind: 'stop', now: true },
} as const satisfies Record<string, ReplicaEvent>;
