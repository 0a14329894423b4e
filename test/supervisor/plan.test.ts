import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { modelName } from '../../src/core/ids.ts';
import { plan } from '../../src/supervisor/plan.ts';
import type { DesiredModel, ObservedReplica, Standing, Step } from '../../src/supervisor/plan.ts';

const want = (name: string, replicas: number, fingerprint = 'new'): DesiredModel => ({ name: modelName(name), replicas, fingerprint });

/** `a0+` serves, `a0?` is coming, `a0-` is leaving, `a0^` drains and may return, `a0~` waits for GPUs that others hold, `a0z` sleeps; a trailing `!` marks an outdated fingerprint, `*` one to be renewed. */
function see(text: string): ObservedReplica[] {
  return text.split(' ').flatMap((word, key) => {
    const match = /^(\w)(\d)([+?~^z-])([!*]?)$/.exec(word);
    if (match === null) return [];
    const standing: Standing = match[3] === '+' ? 'serving' : '-^'.includes(match[3] ?? '?') ? 'leaving' : 'coming';
    const fingerprint = match[4] === '!' ? 'old' : 'new';
    return [
      {
        key,
        model: modelName(match[1] ?? ''),
        index: Number(match[2]),
        fingerprint,
        standing,
        lacksGpus: match[3] === '~',
        renew: match[4] === '*',
        returnable: match[3] === '^',
        canSleep: true,
        asleep: match[3] === 'z',
      },
    ];
  });
}

function steps(desired: readonly DesiredModel[], observed: readonly ObservedReplica[]): string {
  const word = (step: Step): string => {
    if (step.kind === 'add') return `+${step.model}${step.index}`;
    const replica = observed.find(({ key }) => key === step.key);
    const sign = { drain: '-', 'take-back': '<', sleep: 'z', wake: 'w' }[step.kind];
    return `${sign}${replica?.model}${replica?.index}`;
  };
  return plan(desired, observed).map(word).join(' ');
}

const cases: readonly [what: string, desired: readonly DesiredModel[], observed: string, expected: string][] = [
  ['nothing wanted, nothing there', [], '', ''],
  ['first start', [want('a', 2), want('b', 1)], '', '+a0 +a1 +b0'],
  ['as it should be', [want('a', 2)], 'a0+ a1?', ''],
  ['one more', [want('a', 2)], 'a0+', '+a1'],
  ['the gap is filled', [want('a', 3)], 'a0+ a2+', '+a1'],
  ['an index is not given twice while its last owner leaves', [want('a', 1)], 'a0-', '+a1'],
  ['one less: the highest index goes', [want('a', 1)], 'a0+ a1+', '-a1'],
  ['one less: who does not serve goes first', [want('a', 1)], 'a0? a1+', '-a0'],
  ['demand returns while one drains: it is taken back', [want('a', 2)], 'a0+ a1^', '<a1'],
  ['more than drain are wanted: the lowest index first, the rest are added', [want('a', 3)], 'a2^ a1^', '<a1 <a2 +a0'],
  ['what drains of another fingerprint, or is to be renewed, goes on', [want('a', 2)], 'a0^! a1^*', '+a2 +a3'],
  ['what drains and is not wanted goes on', [want('a', 1)], 'a0+ a1^', ''],
  ['nobody needs them: all that serve are put to sleep', [{ ...want('a', 2), asleep: true }], 'a0+ a1z', 'za0'],
  ['who starts sleeps once it serves', [{ ...want('a', 2), asleep: true }], 'a0? a1z', ''],
  ['they are needed again', [want('a', 2)], 'a0z a1z', 'wa0 wa1'],
  ['one less of those that sleep: it is not woken for that', [want('a', 1)], 'a0+ a1z', '-a1'],
  ['one less, and the rest sleep', [{ ...want('a', 1), asleep: true }], 'a0+ a1+', '-a1 za0'],
  ['one that sleeps is not kept for its successor to start', [want('a', 1)], 'a0z!', '+a1 -a0'],
  ['none wanted', [want('a', 0)], 'a0+ a1?', '-a0 -a1'],
  ['a model that is gone from the config', [want('b', 1)], 'a0+ b0+', '-a0'],
  ['no GPU beside the old ones: one of them makes room', [want('a', 2)], 'a0+! a1+! a2~ a3~', '-a1'],
  ['not the next one while it leaves', [want('a', 2)], 'a0+! a1-! a2~ a3~', ''],
  ['nor while its successor starts', [want('a', 2)], 'a0+! a2? a3~', ''],
  ['the next one once the successor serves', [want('a', 2)], 'a0+! a2+ a3~', '-a0'],
  ['who leaves already is left alone', [], 'a0- a1-', ''],
  ['a changed model: a new one starts beside the old', [want('a', 2)], 'a0+! a1+!', '+a2'],
  ['a changed model: the old stay until a new one serves', [want('a', 2)], 'a0+! a1+! a2?', ''],
  ['a changed model: an old one goes for each new one that serves, and the next one starts', [want('a', 2)], 'a0+! a1+! a2+', '-a1 +a3'],
  ['a changed model: old ones that do not serve go at once', [want('a', 2)], 'a0?! a1+!', '-a0 +a2 +a3'],
  ['restarted: a new one starts beside the old', [want('a', 2)], 'a0+* a1+', '+a2'],
  ['restarted: the old one goes once the new one serves', [want('a', 2)], 'a0+* a1+ a2+', '-a0'],
  ['restarted without a GPU to spare: it makes room', [want('a', 1)], 'a0+* a1~', '-a0'],
  ['a changed model: all old ones go in the end', [want('a', 2)], 'a0+! a2+ a3+', '-a0'],
  ['a changed model: more old ones than wanted', [want('a', 1)], 'a0+! a1+!', '+a2 -a1'],
];

const sort = (text: string): string[] => text.split(' ').sort();

for (const [what, desired, observed, expected] of cases) {
  test(`plan: ${what}`, () => {
    assert.deepEqual(sort(steps(desired, see(observed))), sort(expected));
  });
}

function serving(index: number, inFlight: number, readySince: number): ObservedReplica {
  const [replica] = see(`a${index}+`);
  return { ...(replica ?? assert.fail()), key: index, inFlight, readySince };
}

/** Who goes when `count` are too many. */
const going = (count: number, ...observed: ObservedReplica[]): string =>
  sort(steps([want('a', observed.length - count)], observed)).join(' ');

test('plan: of those that serve the one with the fewest requests goes, of equals the newest', () => {
  assert.equal(going(1, serving(0, 0, 10), serving(1, 5, 20), serving(2, 7, 30)), '-a0');
  assert.equal(going(2, serving(0, 3, 10), serving(1, 5, 20), serving(2, 4, 30)), '-a0 -a2');
  assert.equal(going(1, serving(0, 2, 40), serving(1, 2, 20), serving(2, 2, 30)), '-a0');
});

const standings: fc.Arbitrary<Standing> = fc.constantFrom('serving', 'coming', 'leaving');
const arbitraryDesired = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c').map(modelName),
    replicas: fc.nat({ max: 4 }),
    fingerprint: fc.constantFrom('1', '2'),
    asleep: fc.boolean(),
  }),
  { selector: ({ name }) => name },
);
const arbitraryObserved = fc
  .array(
    fc.record({
      model: fc.constantFrom('a', 'b', 'c', 'd').map(modelName),
      index: fc.nat({ max: 6 }),
      fingerprint: fc.constantFrom('1', '2'),
      standing: standings,
      renew: fc.boolean(),
      canSleep: fc.boolean(),
      inFlight: fc.nat(3),
      readySince: fc.nat(3),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map((replica, key): ObservedReplica => ({ ...replica, key })));

/** The steps, taken at once. */
function take(observed: readonly ObservedReplica[], todo: readonly Step[], desired: readonly DesiredModel[]): ObservedReplica[] {
  const kinds = new Map(todo.flatMap((step) => (step.kind === 'add' ? [] : [[step.key, step.kind]])));
  const kept = observed.map((replica): ObservedReplica => {
    switch (kinds.get(replica.key)) {
      case 'drain':
        return { ...replica, standing: 'leaving' };
      case 'sleep':
        return { ...replica, standing: 'coming', asleep: true };
      case 'wake':
      case 'take-back':
        return { ...replica, standing: 'serving', asleep: false };
      case undefined:
        return replica;
    }
  });
  const added = todo.flatMap((step, at): ObservedReplica[] => {
    if (step.kind !== 'add') return [];
    const fingerprint = desired.find(({ name }) => name === step.model)?.fingerprint ?? '';
    return [{ key: 1000 + observed.length + at, model: step.model, index: step.index, fingerprint, standing: 'coming' }];
  });
  return [...kept, ...added];
}

test('property: taken steps leave nothing to plan, and what serves is never fewer than wanted because of the plan', () => {
  fc.assert(
    fc.property(arbitraryDesired, arbitraryObserved, (desired, observed) => {
      const after = take(observed, plan(desired, observed), desired);
      assert.deepEqual(plan(desired, after), []);
      for (const { name, replicas, asleep } of desired) {
        if (asleep) continue;
        const serving = (all: readonly ObservedReplica[]): number =>
          all.filter(({ model, standing }) => model === name && standing === 'serving').length;
        assert.ok(serving(after) >= Math.min(replicas, serving(observed)));
      }
    }),
  );
});

test('property: as replicas come and go, the plan ends with exactly what is wanted', () => {
  fc.assert(
    fc.property(arbitraryDesired, arbitraryObserved, (desired, observed) => {
      let now = observed;
      for (let round = 0; round < 20; round += 1) {
        const settled = now
          .filter(({ standing }) => standing !== 'leaving')
          .map((replica): ObservedReplica => (replica.asleep === true ? replica : { ...replica, standing: 'serving' }));
        now = take(settled, plan(desired, settled), desired);
      }
      const left = now.map(({ model, fingerprint }) => `${model} ${fingerprint}`).sort();
      const wanted = desired
        .flatMap(({ name, replicas, fingerprint }) => Array.from({ length: replicas }, () => `${name} ${fingerprint}`))
        .sort();
      assert.deepEqual(left, wanted);
    }),
  );
});
