import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { defaultDwellMs, type GpuUser, preempt } from '../../src/autoscale/preempt.ts';
import { modelName } from '../../src/core/ids.ts';

const long = 10 * defaultDwellMs;

const user = (name: string, more: Partial<GpuUser> = {}): GpuUser => ({
  name: modelName(name),
  priority: 0,
  min: 0,
  target: 1,
  running: 1,
  asleep: 0,
  gpusEach: 1,
  leaving: 0,
  ongoing: 0,
  idleMs: 1000,
  servedMs: long,
  lacksForMs: undefined,
  ...more,
});
/** Has a request and no GPU. */
const hungry = (name: string, more: Partial<GpuUser> = {}): GpuUser =>
  user(name, { running: 0, servedMs: 0, ongoing: 1, idleMs: 0, lacksForMs: 100, ...more });
const asleep = (name: string, more: Partial<GpuUser> = {}): GpuUser => user(name, { running: 0, asleep: 1, servedMs: 0, ...more });
const busy = { ongoing: 3, idleMs: 0 };

function words(models: readonly GpuUser[]): string {
  const found = preempt(models);
  return found === undefined ? '-' : `${found.taker} < ${found.from.map(({ name, replicas }) => `${name}:${replicas}`).join(' ')}`;
}

const cases: readonly (readonly [what: string, models: readonly GpuUser[], expected: string])[] = [
  ['nobody lacks a GPU', [user('a'), user('b')], '-'],
  ['an idle model gives way', [hungry('a'), user('b')], 'a < b:1'],
  ['of the idle the one of lower priority goes', [hungry('a'), user('b', { idleMs: 9000 }), user('c', { priority: -1 })], 'a < c:1'],
  ['of equals the one idle longest goes', [hungry('a'), user('b', { idleMs: 5000 }), user('c', { idleMs: 9000 })], 'a < c:1'],
  ['who sleeps goes first, whatever its priority below', [hungry('a'), user('b', { priority: -1, idleMs: 9000 }), asleep('c')], 'a < c:1'],
  ['but not for a model of a lower priority', [hungry('a'), asleep('c', { priority: 1 })], '-'],
  ['and not once somebody asks for it', [hungry('a'), asleep('c', { ongoing: 1, idleMs: 0 })], '-'],
  ['one of higher priority is left alone', [hungry('a'), user('b', { priority: 1 })], '-'],
  ['one at its minimum is left alone', [hungry('a'), user('b', { min: 1 })], '-'],
  ['one that has just been loaded is left alone', [hungry('a'), user('b', { servedMs: defaultDwellMs - 1 })], '-'],
  ['one without GPUs has nothing to give', [hungry('a'), user('b', { gpusEach: 0 })], '-'],
  ['nobody asks while GPUs are about to come free', [hungry('a'), user('b'), user('c', { running: 0, target: 0, leaving: 1 })], '-'],
  ['a busy model gives what it has beyond one', [hungry('a'), user('b', { ...busy, target: 3, running: 3 })], 'a < b:1'],
  ['a busy model keeps its last one at first', [hungry('a'), user('b', busy)], '-'],
  ['a busy model gives its last one to who has waited a turn', [hungry('a', { lacksForMs: defaultDwellMs }), user('b', busy)], 'a < b:1'],
  [
    'a model that has one already takes from the idle only',
    [hungry('a', { running: 1 }), user('b', { ...busy, target: 3, running: 3 })],
    '-',
  ],
  ['and from the idle it does', [hungry('a', { running: 1, target: 2 }), user('b')], 'a < b:1'],
  ['several give what one needs', [hungry('a', { gpusEach: 2 }), user('b'), user('c')], 'a < b:1 c:1'],
  ['nobody gives half of what is needed', [hungry('a', { gpusEach: 2 }), user('b')], '-'],
  ['who needs less is not kept waiting by that', [hungry('a', { gpusEach: 2, lacksForMs: 900 }), hungry('c'), user('b')], 'c < b:1'],
  ['the higher priority is served first', [hungry('a', { lacksForMs: 900 }), hungry('c', { priority: 1 }), user('b')], 'c < b:1'],
  ['of equals who has none comes first, then who waits longest', [hungry('a'), hungry('c', { lacksForMs: 900 }), user('b')], 'c < b:1'],
  ['nothing is taken for a model that nobody asks for any more', [hungry('a', { ongoing: 0 }), user('b')], '-'],
];

describe('who gives GPUs up', () => {
  for (const [what, models, expected] of cases) it(what, () => assert.equal(words(models), expected));
});

const users = fc.array(
  fc.record({
    priority: fc.integer({ min: -1, max: 1 }),
    min: fc.nat(2),
    target: fc.nat(4),
    running: fc.nat(4),
    asleep: fc.constantFrom(0, 0, 1),
    gpusEach: fc.constantFrom(0, 0.5, 1, 2),
    leaving: fc.constantFrom(0, 0, 0, 1),
    ongoing: fc.nat(3),
    idleMs: fc.nat(20_000),
    servedMs: fc.nat(30_000),
    lacksForMs: fc.option(fc.nat(20_000), { nil: undefined }),
  }),
  { maxLength: 8 },
);

describe('a preemption', () => {
  it('frees enough for its taker, never goes below a minimum, and takes from nobody of higher priority', () => {
    fc.assert(
      fc.property(users, (all) => {
        const models = all.map((each, at): GpuUser => ({ ...each, name: modelName(`m${at}`) }));
        const found = preempt(models);
        if (found === undefined) return;
        const taker = models.find(({ name }) => name === found.taker) ?? assert.fail('an unknown taker');
        let freed = 0;
        for (const { name, replicas } of found.from) {
          const from = models.find((model) => model.name === name) ?? assert.fail('an unknown model');
          assert.ok(replicas > 0 && replicas <= from.running + from.asleep && from.target - replicas >= from.min);
          assert.ok(from.priority <= taker.priority && (from.asleep > 0 || from.servedMs >= defaultDwellMs));
          freed += replicas * from.gpusEach;
        }
        assert.ok(freed >= taker.gpusEach);
        assert.ok(models.every(({ gpusEach, leaving }) => gpusEach === 0 || leaving === 0));
      }),
    );
  });
});
