import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { advisoriesOf, isNew, loadingLine, type News, newsOf, serving, settled } from '../../src/cli/progress.ts';
import type { ModelReport, ReplicaReport } from '../../src/supervisor/report.ts';

const replica = (index: number, state: string, phase: string, lastError?: string): ReplicaReport =>
  ({
    index,
    state,
    phase,
    since: 0,
    lastError: lastError === undefined ? undefined : { message: lastError },
    logFile: '/logs/m.log',
  }) as never;
const model = (...replicas: ReplicaReport[]): ModelReport =>
  ({ name: 'm', desired: Math.max(1, replicas.length), replicas, status: { phase: 'starting' } }) as never;

/** The text of all news. */
const toldOf = (models: readonly ModelReport[], phases: boolean): readonly string[] =>
  [...newsOf(models, phases).values()].map(({ headline, failure }) => (failure === undefined ? headline : `${headline}\n${failure}`));

/** What is new of each of these, one after the other. */
function tell(...replicas: readonly ReplicaReport[]): readonly string[] {
  let before: News | undefined;
  return replicas.flatMap((one) => {
    const [now] = newsOf([model(one)], false).values();
    const told = now !== undefined && isNew(before, now) ? [now.headline] : [];
    before = now ?? before;
    return told;
  });
}

describe('what a start says', () => {
  const cases: readonly [name: string, replica: ReplicaReport, news: string | undefined, isSettled: boolean][] = [
    ['its turn has not come', replica(0, 'pending', 'waiting to start'), undefined, false],
    ['it lacks a GPU', replica(0, 'pending', 'needs 1 GPU, there is none to use'), 'm: needs 1 GPU, there is none to use', true],
    ['it starts', replica(0, 'starting', 'loading model'), undefined, false],
    ['it serves', replica(0, 'ready', 'ready'), 'm: ready', true],
    ['it failed', replica(0, 'failed', 'failed', 'no such\nfile'), 'm: failed\n    no such\n    file\n    log: /logs/m.log', true],
    ['it is asked to go', replica(0, 'draining', 'draining'), undefined, false],
  ];
  for (const [name, one, news, isSettled] of cases) {
    test(name, () => {
      assert.deepEqual(toldOf([model(one)], false), news === undefined ? [] : [news]);
      assert.equal(settled([model(one)]), isSettled);
      assert.equal(serving([model(one)]), one.state === 'ready');
    });
  }

  test('an engine that should be upgraded is told once for its version, whatever its replicas do', () => {
    const advisory = '1.0 is older than 1.1: a flaw';
    const old = [replica(0, 'ready', 'ready'), replica(1, 'draining', 'draining')].map((each) => ({ ...each, advisory }));
    const all = [{ ...model(...old), engine: 'e' }];
    assert.deepEqual(advisoriesOf(all), ['warning: engine e: 1.0 is older than 1.1: a flaw']);
    assert.deepEqual(toldOf(all, false), ['m #0: ready', ...advisoriesOf(all)]);
  });

  test('a failure is told once for each run that failed, not again while its replica waits for the next', () => {
    const backs = (error: string) => replica(0, 'backing-off', 'backing off', error);
    const waits = (error: string) => replica(0, 'pending', 'waiting to start', error);
    const starts = replica(0, 'starting', 'loading model', 'a');
    assert.deepEqual(tell(backs('a'), waits('a'), starts, backs('a'), waits('a')), ['m: backing off', 'm: backing off']);
    assert.deepEqual(tell(replica(0, 'ready', 'ready'), waits('a'), starts, backs('b')), [
      'm: ready',
      'm: waiting to start',
      'm: backing off',
    ]);
    assert.deepEqual(tell(backs('a'), backs('a'), replica(0, 'failed', 'failed', 'a')), ['m: backing off', 'm: failed']);
  });

  test('where no line can be rewritten, phases are news', () => {
    assert.deepEqual(toldOf([model(replica(0, 'starting', 'loading model'))], true), ['m: loading model']);
  });

  test('several replicas are told apart, and what loads is shown with its seconds', () => {
    const two = model(replica(0, 'ready', 'ready'), replica(1, 'starting', 'loading model'));
    assert.equal(loadingLine([two], 2400), 'm #1: loading model 2 s');
    assert.equal(loadingLine([model(replica(0, 'ready', 'ready'))], 0), undefined);
    assert.deepEqual(toldOf([two], false), ['m #0: ready']);
  });

  test('how long it still takes is said where it is known, never as less than a second', () => {
    const loading = { ...replica(0, 'starting', 'loading model'), etaMs: 20_400 };
    assert.equal(loadingLine([model(loading)], 2400), 'm: loading model 2 s, about 20 s left');
    assert.equal(loadingLine([model({ ...loading, etaMs: 200 })], 2400), 'm: loading model 2 s, about 1 s left');
  });

  test('a model with fewer replicas than it should have is not settled', () => {
    assert.equal(settled([{ ...model(replica(0, 'ready', 'ready')), desired: 2 }]), false);
  });
});
