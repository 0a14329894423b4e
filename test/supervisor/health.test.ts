import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, newHealth } from '../../src/supervisor/health.ts';
import type { Health, HealthLimits, Sight, Verdict, Work } from '../../src/supervisor/health.ts';

const limits: HealthLimits = {
  missesAllowed: 3,
  oksNeeded: 2,
  hungAfterMs: 60_000,
  quietAfterMs: 600_000,
  lateMs: 30_000,
  countersProve: true,
};
const read = (done: number | undefined): Work => ({ kind: 'read', done });
const unread: Work = { kind: 'unread' };

type Step = Partial<Sight>;

/** Looks every 10 s, each as the one before but for what it names. */
function watch(steps: readonly Step[], over: Partial<HealthLimits> = {}): { health: Health; verdicts: Verdict[] } {
  let health = newHealth;
  let sight: Sight = { at: 0, probe: 'ok', inFlight: 0, progress: 0, work: { kind: 'not-asked' } };
  const verdicts: Verdict[] = [];
  for (const step of steps) {
    sight = { ...sight, at: sight.at + 10_000, ...step };
    const judged = judge(health, sight, { ...limits, ...over });
    verdicts.push(judged.verdict);
    ({ health } = judged);
  }
  return { health, verdicts };
}
const times = (count: number, step: (at: number) => Step): Step[] => Array.from({ length: count }, (_, at) => step(at));
const last = (steps: readonly Step[], over?: Partial<HealthLimits>): Verdict | undefined => watch(steps, over).verdicts.at(-1);

test('an answered probe does not save an engine whose counters stand still with requests on it', () => {
  const steps = times(6, () => ({ inFlight: 2, work: read(5) }));
  assert.deepEqual(last(steps), { kind: 'serve', recovered: false }, 'killed too early');
  assert.deepEqual(last([...steps, {}]), { kind: 'hung', inFlight: 2, forMs: 60_000, proof: 'counters' });
});

test('a long prefill whose counters move is never killed, nor withheld, however long its probes are missed', () => {
  const { verdicts, health } = watch(times(200, (at) => ({ inFlight: 1, probe: 'silent', work: read(at) })));
  assert.deepEqual([...new Set(verdicts.map(({ kind }) => kind))], ['serve']);
  assert.equal(health.misses, 0);
});

test('that its counters moved since an old reading excuses no missed probe: they may have stopped long ago', () => {
  const rested: readonly Step[] = [{ probe: 'no', work: read(5) }, ...times(2, () => ({ probe: 'ok', work: { kind: 'not-asked' } }))];
  const refused = times(3, (): Step => ({ probe: 'no', work: read(900) }));
  assert.equal(last([...rested, ...refused.slice(0, 2)])?.kind, 'serve', 'killed too early');
  assert.deepEqual(last([...rested, ...refused]), { kind: 'unresponsive' });
});

test('an engine that sends bytes is alive, whatever else it fails to answer', () => {
  const { verdicts } = watch(times(200, (at) => ({ inFlight: 1, progress: at, probe: 'no', work: unread })));
  assert.deepEqual([...new Set(verdicts.map(({ kind }) => kind))], ['serve']);
});

test('one that answers nothing at all while requests are on it is hung after a minute', () => {
  const silent = times(7, (): Step => ({ inFlight: 1, probe: 'silent', work: unread }));
  assert.equal(last(silent.slice(0, 6))?.kind, 'withhold');
  assert.deepEqual(last(silent), { kind: 'hung', inFlight: 1, forMs: 60_000, proof: 'silence' });
});

test('where the counters prove nothing, only the overdue first byte does', () => {
  const cases: readonly (readonly [string, Step, Partial<HealthLimits>])[] = [
    ['no such counter', { work: read(undefined) }, {}],
    ['counters that rest in a compile', { work: read(5), probe: 'silent' }, { countersProve: false }],
    ['a page that does not come while the probe is answered', { work: unread }, {}],
  ];
  for (const [what, step, over] of cases) {
    const steps = times(60, () => ({ inFlight: 1, ...step }));
    assert.notEqual(last(steps, over)?.kind, 'hung', what);
    assert.deepEqual(last([...steps, {}], over), { kind: 'hung', inFlight: 1, forMs: 600_000, proof: 'patience' }, what);
  }
});

test('clients that give up do not save an engine that was proved to be stuck', () => {
  const stuck = times(5, (): Step => ({ inFlight: 1, work: read(5) }));
  const idle: Step = { inFlight: 0, work: { kind: 'not-asked' } };
  assert.equal(last([...stuck, idle, ...times(3, () => ({ inFlight: 1, work: read(5) }))])?.kind, 'hung');
  const moved = [...stuck, idle, ...times(3, () => ({ inFlight: 1, work: read(6) }))];
  assert.equal(last(moved)?.kind, 'serve', 'a counter that moved clears it');
});

test('after a pause of the gateway itself nothing is judged before another look', () => {
  const silent: Step = { inFlight: 1, probe: 'silent', work: unread };
  const paused = [...times(6, () => silent), { ...silent, at: 200_000 }];
  assert.equal(last(paused)?.kind, 'withhold', 'as it was before');
  assert.equal(last([...paused, { probe: 'ok' }, { probe: 'ok' }])?.kind, 'serve');
  assert.equal(last([{ probe: 'ok' }, { probe: 'silent', at: 200_000 }, { probe: 'silent' }, { probe: 'silent' }])?.kind, 'serve');
});

test('three missed probes in a row withhold an idle replica, two answered ones bring it back, and the flap is told', () => {
  const miss: Step = { probe: 'silent', work: read(5) };
  const ok: Step = { probe: 'ok', work: { kind: 'not-asked' } };
  const { verdicts } = watch([miss, miss, ok, miss, miss, miss, ok, miss, ok, ok]);
  const told = verdicts.map((verdict) => `${verdict.kind}${'recovered' in verdict && verdict.recovered ? ', recovered' : ''}`);
  const withheld = ['withhold', 'withhold, recovered', 'withhold', 'withhold, recovered', 'serve'];
  assert.deepEqual(told, ['serve', 'serve', 'serve, recovered', 'serve', 'serve', ...withheld]);
});

test('slow probes alone never kill; a refusal, or silence everywhere, does', () => {
  assert.equal(last(times(500, () => ({ probe: 'silent', work: read(5) })))?.kind, 'withhold');
  assert.equal(last(times(3, () => ({ probe: 'no', work: read(5) })))?.kind, 'unresponsive');
  assert.equal(last(times(3, () => ({ probe: 'silent', work: unread })))?.kind, 'unresponsive');
});

const arbitraryWork = fc.oneof(
  fc.constant<Work>({ kind: 'not-asked' }),
  fc.constant(unread),
  fc.option(fc.nat({ max: 2 }), { nil: undefined }).map(read),
);
const arbitraryStep = fc.record({
  probe: fc.constantFrom<Sight['probe'][]>('ok', 'no', 'silent'),
  inFlight: fc.nat({ max: 2 }),
  work: arbitraryWork,
});

test('property: an engine that moved at a look is never killed by that look, and hung means requests were on it for as long as it says', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(arbitraryStep, fc.nat({ max: 3 }), fc.nat({ max: 40_000 })), { maxLength: 80 }), (life) => {
      let health = newHealth;
      let at = 0;
      let progress = 0;
      let busyMs = 0;
      let before = 0;
      for (const [step, moves, pause] of life) {
        at += pause;
        const moved = moves === 3 && health.last !== undefined;
        progress += moved ? 1 : 0;
        if (before > 0 && step.inFlight > 0) busyMs += pause;
        before = step.inFlight;
        const judged = judge(health, { ...step, at, progress }, limits);
        if (moved) assert.ok(['serve', 'withhold'].includes(judged.verdict.kind), judged.verdict.kind);
        if (judged.verdict.kind === 'hung') {
          assert.ok(step.inFlight > 0);
          assert.ok(judged.verdict.forMs >= limits.hungAfterMs && judged.verdict.forMs <= busyMs);
        }
        ({ health } = judged);
      }
    }),
  );
});
