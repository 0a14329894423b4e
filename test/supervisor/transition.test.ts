import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { transition } from '../../src/supervisor/transition.ts';
import type { Effect, ReplicaEvent, ReplicaState, Transition } from '../../src/supervisor/replica-state.ts';
import { events, limits, now, states } from './support/replica-states.ts';

type StateName = keyof typeof states;
type EventName = keyof typeof events;

/** `.`: nothing changes. Every state × event that is not named here must be that. */
const table: Readonly<Record<StateName, Partial<Record<EventName, string>>>> = {
  pending: {
    granted: 'starting until 61000: launch, tick-at 61000',
    'gone, failed': 'backing-off until 2000: tick-at 2000',
    'gone, for ever': 'failed',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
  },
  'pending, in a loop': {
    granted: 'starting until 61000: launch, tick-at 61000',
    'gone, failed': 'crash-loop until 301000: tick-at 301000',
    'gone, for ever': 'failed',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
  },
  starting: {
    ready: 'ready: watch',
    mismatch: 'stopping to restart (mismatch): kill',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    'gone, failed': 'backing-off until 2000: tick-at 2000',
    'gone, for ever': 'failed',
    tick: 'starting until 5000: tick-at 5000',
    drain: 'stopping: kill',
    leave: 'stopping: release',
    stop: 'stopping: kill',
    'stop now': 'stopping: kill',
  },
  'starting, late': {
    ready: 'ready: watch',
    mismatch: 'stopping to restart (mismatch): kill',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    'gone, failed': 'backing-off until 2000: tick-at 2000',
    'gone, for ever': 'failed',
    tick: 'stopping to restart (start-timeout): kill',
    drain: 'stopping: kill',
    leave: 'stopping: release',
    stop: 'stopping: kill',
    'stop now': 'stopping: kill',
  },
  'starting, in a loop': {
    ready: 'ready: watch',
    mismatch: 'stopping to restart (mismatch): kill',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    'gone, failed': 'crash-loop until 301000: tick-at 301000',
    'gone, for ever': 'failed',
    tick: 'starting until 5000: tick-at 5000',
    drain: 'stopping: kill',
    leave: 'stopping: release',
    stop: 'stopping: kill',
    'stop now': 'stopping: kill',
  },
  ready: {
    withheld: 'ready, withheld',
    sleep: 'falling-asleep',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    drain: 'draining until 4000: tick-at 4000',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'ready, withheld': {
    serving: 'ready',
    sleep: 'falling-asleep',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    drain: 'draining until 4000: tick-at 4000',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'falling-asleep': {
    drained: 'falling-asleep until 21000: sleep, tick-at 21000',
    wake: 'ready: watch',
    slept: 'asleep',
    wakeful: 'waking until 21000: wake, tick-at 21000',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    drain: 'draining until 4000: tick-at 4000',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'falling-asleep, told': {
    slept: 'asleep',
    wakeful: 'waking until 21000: wake, tick-at 21000',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    tick: 'falling-asleep until 5000: tick-at 5000',
    drain: 'stopping: terminate',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'falling-asleep, late': {
    slept: 'asleep',
    wakeful: 'waking until 21000: wake, tick-at 21000',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    tick: 'stopping to restart (not-asleep): kill',
    drain: 'stopping: terminate',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  asleep: {
    wake: 'waking until 21000: wake, tick-at 21000',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    drain: 'stopping: terminate',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  waking: {
    ready: 'ready: watch',
    mismatch: 'stopping to restart (mismatch): kill',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    tick: 'waking until 5000: tick-at 5000',
    drain: 'stopping: terminate',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'waking, late': {
    ready: 'ready: watch',
    mismatch: 'stopping to restart (mismatch): kill',
    condemned: 'stopping to restart (unresponsive): kill',
    exited: 'stopping to restart (exited): kill',
    tick: 'stopping to restart (not-awake): kill',
    drain: 'stopping: terminate',
    leave: 'stopping: release',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  draining: {
    'take-back': 'ready: watch',
    condemned: 'stopping: kill',
    exited: 'stopping: kill',
    tick: 'draining until 5000: tick-at 5000',
    drain: 'draining until 4000: tick-at 4000',
    drained: 'stopping: terminate',
    leave: 'stopping: terminate',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'draining, late': {
    'take-back': 'ready: watch',
    condemned: 'stopping: kill',
    exited: 'stopping: kill',
    tick: 'stopping: terminate',
    drained: 'stopping: terminate',
    leave: 'stopping: terminate',
    stop: 'stopping: terminate',
    'stop now': 'stopping: kill',
  },
  'stopping for good': {
    'gone, failed': 'stopped',
    'gone, for ever': 'stopped',
    'gone, asked': 'stopped',
    'stop now': 'stopping: kill',
  },
  'stopping to restart': {
    'gone, failed': 'backing-off until 2000: tick-at 2000',
    'gone, for ever': 'failed',
    'gone, asked': 'pending: await-turn',
    drain: 'stopping',
    leave: 'stopping',
    retry: 'stopping to restart (exited)',
    stop: 'stopping',
    'stop now': 'stopping: kill',
  },
  'stopping, was ready': {
    'gone, failed': 'pending: await-turn',
    'gone, for ever': 'failed',
    'gone, asked': 'pending: await-turn',
    drain: 'stopping',
    leave: 'stopping',
    retry: 'stopping to restart (exited)',
    stop: 'stopping',
    'stop now': 'stopping: kill',
  },
  'stopping, was ready, failed before': {
    'gone, failed': 'backing-off until 3000: tick-at 3000',
    'gone, for ever': 'failed',
    'gone, asked': 'pending: await-turn',
    drain: 'stopping',
    leave: 'stopping',
    retry: 'stopping to restart (exited)',
    stop: 'stopping',
    'stop now': 'stopping: kill',
  },
  'stopping in a loop': {
    'gone, failed': 'crash-loop until 301000: tick-at 301000',
    'gone, for ever': 'failed',
    'gone, asked': 'pending: await-turn',
    drain: 'stopping',
    leave: 'stopping',
    retry: 'stopping to restart (exited)',
    stop: 'stopping',
    'stop now': 'stopping: kill',
  },
  stopped: {},
  'backing-off': {
    tick: 'backing-off until 5000: tick-at 5000',
    retry: 'pending: await-turn',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
  },
  'backing-off, due': {
    tick: 'pending: await-turn',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
    retry: 'pending: await-turn',
  },
  'crash-loop': {
    tick: 'crash-loop until 5000: tick-at 5000',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
    retry: 'pending: await-turn',
  },
  'crash-loop, due': {
    tick: 'pending: await-turn',
    drain: 'stopped',
    leave: 'stopped',
    stop: 'stopped',
    'stop now': 'stopped',
    retry: 'pending: await-turn',
  },
  failed: { drain: 'stopped', leave: 'stopped', stop: 'stopped', 'stop now': 'stopped', retry: 'pending: await-turn' },
};

function stateInWords(state: ReplicaState): string {
  if (state.kind === 'stopping' && state.next.kind === 'restart') return `stopping to restart (${state.next.reason.kind})`;
  if (state.kind === 'ready' && !state.serving) return 'ready, withheld';
  if ('until' in state) return `${state.kind} until ${state.until}`;
  if ('deadline' in state && state.deadline !== undefined) return `${state.kind} until ${state.deadline}`;
  return state.kind;
}

function effectInWords(effect: Effect): string {
  if (effect.kind === 'terminate') return effect.polite ? 'terminate' : 'kill';
  return effect.kind === 'tick-at' ? `tick-at ${effect.time}` : effect.kind;
}

function inWords(before: ReplicaState, [after, effects]: Transition): string {
  if (after === before && effects.length === 0) return '.';
  return [stateInWords(after), effects.map(effectInWords).join(', ')].filter((part) => part !== '').join(': ');
}

for (const [name, state] of Object.entries(states)) {
  test(`every event is decided in state "${name}"`, () => {
    const row = Object.entries(events).map(([event, value]) => [event, inWords(state, transition(state, value, now, limits))]);
    const expected = Object.keys(events).map((event) => [event, table[name as StateName][event as EventName] ?? '.']);
    assert.deepEqual(Object.fromEntries(row), Object.fromEntries(expected));
  });
}

/** Its process is there, and nothing has been done to end it. */
const serves = new Set<ReplicaState['kind']>(['ready', 'falling-asleep', 'asleep', 'waking', 'draining']);

const arbitraryEvent: fc.Arbitrary<ReplicaEvent> = fc.oneof(
  fc.constantFrom<ReplicaEvent[]>(...Object.values(events)),
  fc.record({ kind: fc.constant('drain' as const), deadline: fc.nat({ max: 100_000 }) }),
);
const arbitraryLife = fc.array(fc.tuple(arbitraryEvent, fc.nat({ max: 400_000 })), { maxLength: 60 });

test('property: no sequence of events throws, leaves "stopped", or gets a replica that was told to go back to serving unless it is taken back', () => {
  fc.assert(
    fc.property(arbitraryLife, (life) => {
      let state: ReplicaState = states.pending;
      let time = 0;
      let leaving = false;
      for (const [event, pause] of life) {
        time += pause;
        const before: ReplicaState = state;
        [state] = transition(state, event, time, limits);
        if (before.kind === 'stopped') assert.equal(state, before);
        if (event.kind === 'take-back' && before.kind === 'draining') leaving = false;
        leaving ||= event.kind === 'drain' || event.kind === 'leave' || event.kind === 'stop';
        if (leaving) assert.ok(['draining', 'stopping', 'stopped'].includes(state.kind), `${state.kind} after it was told to go`);
      }
    }),
  );
});

test('property: a process is launched only where none is, and every one that was launched is ended', () => {
  fc.assert(
    fc.property(arbitraryLife, (life) => {
      let state: ReplicaState = states.pending;
      let time = 0;
      let running = false;
      for (const [event, pause] of life) {
        // As the mailbox does: `gone` comes only of a process that was there.
        if (event.kind === 'gone' && !running) continue;
        if (event.kind === 'gone' && serves.has(state.kind)) continue;
        if (event.kind === 'gone' && state.kind === 'starting' && event.failure === undefined) continue;
        time += pause;
        const [after, effects] = transition(state, event, time, limits);
        if (event.kind === 'gone') running = false;
        for (const effect of effects) {
          if (effect.kind === 'launch') {
            assert.equal(running, false, 'launched twice');
            running = true;
          }
          if (effect.kind === 'terminate' || effect.kind === 'release') assert.equal(running, true, 'ended what is not there');
        }
        assert.equal(
          running,
          ['starting', 'stopping'].includes(after.kind) || serves.has(after.kind),
          `${after.kind}, running: ${running}`,
        );
        state = after;
      }
    }),
  );
});
