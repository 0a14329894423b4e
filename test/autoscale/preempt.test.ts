import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { defaultDwellMs, type FindsGpus, type GpuUser, preempt } from '../../src/autoscale/preempt.ts';
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
  gpuNeed: String(more.gpusEach ?? 1),
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

/** By counting: of a model's replicas those go first that have no GPU yet. */
const counting =
  (models: readonly GpuUser[], free: number): FindsGpus =>
  (taker, givenUp) => {
    const freed = models.map(({ name, target, running, asleep, gpusEach }) => {
      const without = Math.max(0, target - running - asleep);
      return Math.max(0, (givenUp.get(name) ?? 0) - without) * gpusEach;
    });
    const needed = models.find(({ name }) => name === taker)?.gpusEach ?? assert.fail('an unknown taker');
    return freed.reduce((sum, gpus) => sum + gpus, free) >= needed;
  };

/** `a < b:1`: b gives one up for a; `a <`: what comes free is kept for a; `-`: it is nobody's turn. */
function words(models: readonly GpuUser[], free = 0, before?: string): string {
  const found = preempt(models, counting(models, free), before === undefined ? undefined : modelName(before));
  if (found === undefined) return '-';
  return [`${found.taker} <`, ...found.from.map(({ name, replicas }) => `${name}:${replicas}`)].join(' ');
}

const turn = { lacksForMs: defaultDwellMs };

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
  [
    'a busy model gives all that it has to who needs them and has waited a turn',
    [hungry('a', { gpusEach: 2, ...turn }), user('b', { ...busy, target: 2, running: 2 })],
    'a < b:2',
  ],
  ['who is to have none gives no more than that', [hungry('a', turn), user('b', { ...busy, target: 0 })], '-'],
  ['several give what one needs', [hungry('a', { gpusEach: 2 }), user('b'), user('c')], 'a < b:1 c:1'],
  ['nobody gives half of what is needed', [hungry('a', { gpusEach: 2 }), user('b')], '-'],
  ['who needs less is not kept waiting by that', [hungry('a', { gpusEach: 2, lacksForMs: 900 }), hungry('c'), user('b')], 'c < b:1'],
  ['the higher priority is served first', [hungry('a', { lacksForMs: 900 }), hungry('c', { priority: 1 }), user('b')], 'c < b:1'],
  ['of equals who has none comes first, then who waits longest', [hungry('a'), hungry('c', { lacksForMs: 900 }), user('b')], 'c < b:1'],
  ['nothing is taken for a model that nobody asks for any more', [hungry('a', { ongoing: 0 }), user('b')], '-'],
];

const onlyB: FindsGpus = (_, givenUp) => givenUp.has(modelName('b'));

describe('who gives GPUs up', () => {
  for (const [what, models, expected] of cases) it(what, () => assert.equal(words(models), expected));

  it('nobody, where enough are free', () => assert.equal(words([hungry('a'), user('b')], 1), 'a <'));
  it('only as many as are missing beside those that are free', () => {
    assert.equal(words([hungry('a', { gpusEach: 2 }), user('b')], 1), 'a < b:1');
  });
  it('and looks for them once for all who ask for the same', () => {
    const asked: string[] = [];
    const nothing: FindsGpus = (taker) => asked.push(taker) < 0;
    const crowd = Array.from({ length: 50 }, (_, at) => hungry(`m${at}`));
    assert.equal(preempt([...crowd, hungry('big', { gpusEach: 2 }), user('b', busy)], nothing), undefined);
    assert.deepEqual(new Set(asked), new Set(['m0', 'big']));
  });
  it('who has no GPU yet gives none', () => {
    assert.equal(words([hungry('a'), user('b', { target: 2, lacksForMs: 50 })]), 'a < b:2');
  });
  it('nobody whose GPUs would not do, though they come first', () => {
    const models = [hungry('a'), user('small', { idleMs: 9000 }), user('b')];
    assert.deepEqual(preempt(models, onlyB)?.from, [{ name: 'b', replicas: 1 }]);
  });
});

const big = (more: Partial<GpuUser> = {}): GpuUser => hungry('big', { gpusEach: 2, ...more });

describe('a model that needs several GPUs', () => {
  const fresh = { ...busy, servedMs: 3000 };

  it('is overtaken while it has not waited for a turn', () => {
    assert.equal(words([big({ lacksForMs: 9000 }), hungry('c'), user('a'), user('b', fresh)]), 'c < a:1');
  });
  it('is waited for once it has, and then gets all at once', () => {
    assert.equal(words([big(turn), hungry('c'), user('a', busy), user('b', fresh)]), 'big <');
    assert.equal(words([big(turn), hungry('c'), user('a', busy), user('b', busy)]), 'big < a:1 b:1');
  });
  it('has what comes free kept for it until it has enough', () => {
    const leaving = user('b', { running: 0, target: 0, leaving: 1 });
    assert.equal(words([big(turn), hungry('c'), leaving], 1, 'big'), 'big <');
    assert.equal(words([hungry('c'), leaving], 1, 'big'), '-', 'and no longer than it waits');
  });
  it('keeps nobody waiting where it could never have enough', () => {
    assert.equal(words([big(turn), hungry('c'), user('a'), user('b', { ...busy, min: 1 })]), 'c < a:1');
  });
  it('lets a more important one pass', () => {
    assert.equal(words([big(turn), hungry('c', { priority: 1 }), user('a'), user('b', fresh)]), 'c < a:1');
  });
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
      fc.property(users, fc.nat(2), (all, free) => {
        const models = all.map((each, at): GpuUser => ({ ...each, name: modelName(`m${at}`), gpuNeed: String(each.gpusEach) }));
        const finds = counting(models, free);
        const found = preempt(models, finds);
        if (found === undefined) return;
        const taker = models.find(({ name }) => name === found.taker) ?? assert.fail('an unknown taker');
        for (const { name, replicas } of found.from) {
          const from = models.find((model) => model.name === name) ?? assert.fail('an unknown model');
          assert.ok(replicas > 0 && from.target - replicas >= from.min);
          assert.ok(from.priority <= taker.priority && (from.asleep > 0 || from.servedMs >= defaultDwellMs));
        }
        const given = new Map(found.from.map(({ name, replicas }) => [name, replicas]));
        assert.ok(found.from.length === 0 || finds(taker.name, given));
        for (const name of given.keys()) assert.ok(!finds(taker.name, new Map([...given].filter(([other]) => other !== name))));
        if (found.from.length > 0) assert.ok(models.every(({ gpusEach, leaving }) => gpusEach === 0 || leaving === 0));
      }),
    );
  });
});
