import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeSilence, type Quiet, type SilenceVerdict } from '../../src/gateway/silence.ts';

const limits = { maxWaiting: 1, queueTimeoutMs: 1000, firstByteTimeoutMs: 600, idleTimeoutMs: 60 };
const client = { heartbeatMs: 10, writeStallMs: 100, keepAliveMs: 30_000 };
const quiet: Quiet = { stalledAt: undefined, engineSince: 0, replying: true, stream: false, sentAt: 0 };
const silent = (silentMs: number, key: string): SilenceVerdict => ({ kind: 'engine-silent', silentMs, limit: `gateway.timeouts.${key}` });

const cases: readonly (readonly [string, Partial<Quiet>, number, SilenceVerdict])[] = [
  ['nothing is said yet', {}, 59, { kind: 'patience' }],
  ['an engine in the middle of its reply may be silent for idle_s', {}, 60, silent(60, 'idle_s')],
  ['one that has not begun, for first_byte_s', { replying: false }, 599, { kind: 'patience' }],
  ['and no longer', { replying: false }, 600, silent(600, 'first_byte_s')],
  ['its silence counts from what it said last', { engineSince: 30 }, 89, { kind: 'patience' }],
  [
    'a request that no engine has is judged by its place in the queue',
    { engineSince: undefined, replying: false },
    9999,
    { kind: 'patience' },
  ],
  ['a stream is kept alive', { stream: true }, 10, { kind: 'heartbeat' }],
  ['also while it waits', { stream: true, engineSince: undefined }, 10, { kind: 'heartbeat' }],
  ['but not while something is sent', { stream: true, sentAt: 5 }, 14, { kind: 'patience' }],
  ['a silent engine goes before a heartbeat', { stream: true }, 60, silent(60, 'idle_s')],
  ['while the client does not read, the engine is not blamed', { stalledAt: 0, stream: true }, 99, { kind: 'patience' }],
  ['the client is', { stalledAt: 0, stream: true }, 100, { kind: 'client-stalled' }],
];

for (const [name, more, now, expected] of cases) {
  test(`silence: ${name}`, () => assert.deepEqual(judgeSilence({ ...quiet, ...more }, now, limits, client), expected));
}
