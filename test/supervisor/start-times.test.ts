import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import pino from 'pino';
import { StartHistory } from '../../src/supervisor/start-history.ts';
import { learn, noStartTimes, remainingMs } from '../../src/supervisor/start-times.ts';
import type { StartSubject } from '../../src/supervisor/start-times.ts';
import { simulate } from './support/memory.ts';
import { model } from './support/model.ts';

const silent = pino({ level: 'silent' });
const subject: StartSubject = { model: 'm', engine: 'fake', fingerprint: 'f1' };
const seen = new Map([
  ['starting', 1000],
  ['loading model', 3000],
]);

describe('what a start still takes', () => {
  const known = learn(noStartTimes, subject, seen, 43_000);
  const cases: readonly [what: string, who: StartSubject, phase: string, forMs: number, left: number | undefined][] = [
    ['as a whole', subject, 'starting', 0, 42_000],
    ['from a phase on', subject, 'loading model', 10_000, 30_000],
    ['longer than last time', subject, 'loading model', 40_000, undefined],
    ['in a phase that it did not have', subject, 'compiling', 0, undefined],
    ['the same model with other options', { ...subject, fingerprint: 'f2' }, 'starting', 2000, 40_000],
    ['on another engine', { ...subject, fingerprint: 'f2', engine: 'other' }, 'starting', 0, undefined],
    ['another model', { ...subject, fingerprint: 'f2', model: 'n' }, 'starting', 0, undefined],
  ];
  for (const [what, who, phase, forMs, left] of cases) test(what, () => assert.equal(remainingMs(known, who, phase, forMs), left));

  test('the last start counts, and its own options before others', () => {
    const other = { ...subject, fingerprint: 'f2' };
    const times = learn(learn(known, subject, new Map([['starting', 0]]), 5000), other, new Map([['starting', 0]]), 9000);
    assert.equal(remainingMs(times, subject, 'starting', 0), 5000);
    assert.equal(remainingMs(times, other, 'starting', 0), 9000);
    assert.equal(remainingMs(times, { ...subject, fingerprint: 'f3' }, 'starting', 0), 9000, 'of strangers, the newest');
  });

  test('what is remembered is bounded; the oldest is forgotten', () => {
    let times = known;
    for (let at = 0; at < 256; at += 1) times = learn(times, { ...subject, model: `m${at}`, fingerprint: `g${at}` }, seen, 43_000);
    assert.equal(times.starts.length, 256);
    assert.equal(remainingMs(times, subject, 'starting', 0), undefined);
    assert.equal(remainingMs(times, { ...subject, fingerprint: 'g0' }, 'starting', 0), 42_000);
  });
});

function stateDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'start-times-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe('the file of start times', () => {
  test('the next gateway knows what the last one learnt; others cannot read it', (t) => {
    const dir = stateDir(t);
    StartHistory.open(dir, silent).learn(subject, seen, 43_000);
    assert.equal(StartHistory.open(dir, silent).remainingMs(subject, 'starting', 0), 42_000);
    assert.equal(statSync(join(dir, 'start-times.json')).mode & 0o777, 0o600);
  });

  for (const [what, text] of [
    ['is cut off', '{"version":1,"sta'],
    ['is of another version', '{"version":2,"starts":[]}'],
    ['holds something else', '[]'],
  ] as const)
    test(`one that ${what} is as good as none, and written anew`, (t) => {
      const dir = stateDir(t);
      writeFileSync(join(dir, 'start-times.json'), text);
      const history = StartHistory.open(dir, silent);
      assert.equal(history.remainingMs(subject, 'starting', 0), undefined);
      history.learn(subject, seen, 43_000);
      assert.match(readFileSync(join(dir, 'start-times.json'), 'utf8'), /"loading model":40000/);
    });

  test('one that cannot be written costs no start: it is known until the gateway ends', (t) => {
    const dir = stateDir(t);
    const history = StartHistory.open(join(dir, 'gone'), silent);
    history.learn(subject, seen, 43_000);
    assert.equal(history.remainingMs(subject, 'starting', 0), 42_000);
  });
});

test('a restart is told how long it takes, by the first start and its phases', async () => {
  const sim = simulate();
  const slow = async (): Promise<void> => {
    await sim.clock.advance(0);
    sim.provider.processes.at(-1)?.print('fake: loading model');
    await sim.clock.advance(0);
  };
  sim.provider.prepare = (process) => {
    process.health = 503;
  };
  sim.apply(model());
  await slow();
  const etas = (): readonly (number | undefined)[] => {
    const report = sim.supervisor.status()[0];
    return [report?.status.etaMs, report?.replicas[0]?.etaMs];
  };
  assert.deepEqual(etas(), [undefined, undefined], 'nothing is known yet');
  await sim.clock.advance(30_000);
  const first = sim.provider.processes[0];
  if (first !== undefined) first.health = 200;
  await sim.clock.advance(1000);
  assert.deepEqual(sim.states(), ['ready']);
  assert.deepEqual(etas(), [undefined, undefined]);
  first?.exit();
  await slow();
  assert.deepEqual(sim.states(), ['starting']);
  const [told, shown] = etas();
  assert.ok(told !== undefined && told > 29_000 && told <= 31_000, `about 30 s: ${told}`);
  assert.equal(shown, told);
  assert.equal(sim.tables.at(-1)?.models.values().next().value?.status.etaMs, told, 'the workers are told too');
  await sim.clock.advance(10_000);
  assert.equal(etas()[0], told - 10_000);
  await sim.clock.advance(25_000);
  assert.equal(etas()[0], undefined, 'longer than last time: nobody knows');
});
