import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type End, endOfStream, endOfWhole, type Outcome } from '../../bench/soak/client.ts';
import { series } from '../../bench/soak/gateway.ts';
import { type Evidence, judge, slopePerMs } from '../../bench/soak/judge.ts';
import { parseOptions } from '../../bench/soak/options.ts';
import { type Ask, models, schedule } from '../../bench/soak/schedule.ts';
import { soak } from '../../bench/soak/soak.ts';
import { tempDir } from '../support/gateway-process.ts';

const chunk = (content: string): string => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

const ask = (model: string, kind: 'whole' | 'stream'): Ask => ({ atMs: 0, model, tokens: 1, manner: { kind } });
const outcome = (end: End, status = 200, of = ask('plain', 'stream')): Outcome => ({ ask: of, end, status, detail: '' });
const evidenceOf = (outcomes: readonly Outcome[], byOutcome: Readonly<Record<string, number>>, more: Partial<Evidence> = {}): Evidence => ({
  durationMs: 600_000,
  outcomes,
  counters: { byOutcome: new Map(Object.entries(byOutcome)), inFlight: 0, waiting: 0, retries: 0, resumed: 0 },
  kills: 1,
  killsMissed: 0,
  ready: 1,
  wanted: 1,
  memory: Array.from({ length: 300 }, (_, at) => ({ atMs: at * 2000, mib: 100 + (at % 2) })),
  exitCode: 0,
  enginesLeft: 0,
  errorsLogged: 0,
  ...more,
});
const failed = (evidence: Evidence): readonly string[] => judge(evidence).flatMap(({ what, holds }) => (holds === false ? [what] : []));

describe('the schedule of a soak', () => {
  const tenMinutes = 600_000;

  test('is the same for the same seed, and another for another', () => {
    assert.deepEqual(schedule(7, 30_000, 2000), schedule(7, 30_000, 2000));
    assert.notDeepEqual(schedule(7, 30_000, 2000), schedule(8, 30_000, 2000));
  });

  test('kills none often enough for a crash loop, in any ten minutes of any seed', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1000, max: 20_000 }), (seed, killEveryMs) => {
        const { kills } = schedule(seed, 2 * tenMinutes, killEveryMs);
        for (const { model, index, atMs } of kills) {
          const same = kills.filter((kill) => kill.model === model && kill.index === index);
          assert.ok(same.filter((kill) => kill.atMs >= atMs && kill.atMs < atMs + tenMinutes).length <= 4);
        }
        assert.ok(kills.every(({ model, index }) => index < (models.find(({ id }) => id === model)?.replicas ?? 0)));
      }),
      { numRuns: 20 },
    );
  });

  test('has every kind of client, in order of time', () => {
    const { asks } = schedule(1, tenMinutes, 18_000);
    assert.deepEqual(new Set(asks.map(({ manner }) => manner.kind)), new Set(['whole', 'stream', 'leave', 'slow']));
    assert.ok(asks.every(({ atMs }, at) => atMs >= (asks[at - 1]?.atMs ?? 0) && atMs < tenMinutes));
  });
});

describe('what a reply comes to', () => {
  const cases: readonly (readonly [string, string, End])[] = [
    ['whole and right', `${chunk('a')}: comment\n\n${chunk(' a')}data: [DONE]\n\n`, 'complete'],
    ['a token twice', `${chunk('a')}${chunk('a')}${chunk(' a')}data: [DONE]\n\n`, 'wrong'],
    ['an error event', `${chunk('a')}data: {"error":{"code":"upstream_failed"}}\n\n`, 'broken'],
    ['no end', `${chunk('a')}${chunk(' a')}`, 'cut'],
  ];
  for (const [name, text, end] of cases) test(`a stream: ${name}`, () => assert.equal(endOfStream(text, 'a a')[0], end));

  test('a whole reply', () => {
    const reply = JSON.stringify({ choices: [{ message: { content: 'a a' } }] });
    assert.equal(endOfWhole(reply, 'a a')[0], 'complete');
    assert.equal(endOfWhole(reply, 'a')[0], 'wrong');
    assert.equal(endOfWhole('{"half', 'a')[0], 'wrong');
  });
});

describe('the judgement', () => {
  test('a good run passes; a stream may break as its engine dies, and what a client left may have ended either way', () => {
    assert.deepEqual(failed(evidenceOf([outcome('complete'), outcome('left'), outcome('broken')], { ok: 2, upstream_failed: 1 })), []);
    assert.deepEqual(failed(evidenceOf([outcome('complete'), outcome('left')], { ok: 1, client_closed: 1 })), []);
  });

  const bad: readonly (readonly [string, Evidence])[] = [
    ['lost without a byte', evidenceOf([outcome('lost', 0)], { rejected: 1 })],
    ['refused with 5xx', evidenceOf([outcome('refused', 502)], { upstream_failed: 1 })],
    ['refused otherwise', evidenceOf([outcome('refused', 429)], { overloaded: 1 })],
    ['wrong text', evidenceOf([outcome('wrong')], { ok: 1 })],
    ['streams cut without an error event', evidenceOf([outcome('cut')], { upstream_failed: 1 })],
    [
      'streams broken that should have been resumed',
      evidenceOf([outcome('broken', 200, ask('resuming', 'stream'))], { upstream_failed: 1 }),
    ],
    ['counted by the gateway', evidenceOf([outcome('complete')], { ok: 2 })],
    ['of them ok, left, failed', evidenceOf([outcome('complete')], { upstream_failed: 1 })],
    ['engines killed (not up when their turn came)', evidenceOf([outcome('complete')], { ok: 1 }, { kills: 0 })],
    ['replicas ready at the end', evidenceOf([outcome('complete')], { ok: 1 }, { ready: 0 })],
    [
      'gateway RSS after two minutes',
      evidenceOf([outcome('complete')], { ok: 1 }, { memory: Array.from({ length: 300 }, (_, at) => ({ atMs: at * 2000, mib: at / 10 })) }),
    ],
    ['errors in its log', evidenceOf([outcome('complete')], { ok: 1 }, { errorsLogged: 1 })],
    ['exit code, engines left', evidenceOf([outcome('complete')], { ok: 1 }, { enginesLeft: 1 })],
  ];
  for (const [what, evidence] of bad) test(`finds: ${what}`, () => assert.ok(failed(evidence).includes(what), failed(evidence).join(', ')));

  test('the slope is that of the line, whatever lies around it', () => {
    const noise = [0.5, -0.5, -0.5, 0.5];
    assert.ok(Math.abs(slopePerMs(noise.map((off, at) => ({ atMs: at, mib: 2 * at + off }))) - 2) < 1e-9);
  });
});

test('a Prometheus series is read with its labels, and no other that begins like it', () => {
  assert.deepEqual(series('a_total{x="1"} 2\na_total 3\na_total_more 4\n', 'a_total'), [
    ['{x="1"}', 2],
    ['', 3],
  ]);
});

test('options that make no sense are refused with their value', () => {
  assert.deepEqual(parseOptions(['--minutes', '0.5', '--seed', '3']), { minutes: 0.5, seed: 3, keepAlive: undefined });
  assert.equal(parseOptions(['--keep-alive', '250']).keepAlive, 250);
  assert.throws(() => parseOptions(['--keep-alive', '0']), /--keep-alive: "0"/);
  assert.throws(() => parseOptions(['--minutes', 'x']), /--minutes: "x"/);
  assert.throws(() => parseOptions(['--seed', '-1']), TypeError);
});

test('twenty seconds of it, with an engine killed about every two', async (t) => {
  const { findings, failures } = await soak({
    seed: 1,
    durationMs: 20_000,
    killEveryMs: 2000,
    dir: await tempDir(t),
    signal: t.signal,
    say: (line) => t.diagnostic(line),
  });
  for (const { what, value } of findings) t.diagnostic(`${what}: ${value}`);
  assert.deepEqual(
    failures.filter(({ ask }) => ask.manner.kind !== 'whole'),
    [],
  );
  assert.deepEqual(
    findings.filter(({ holds }) => holds === false),
    [],
  );
});
