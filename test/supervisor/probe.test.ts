import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import type { Engine } from '../../src/plugins/engine-plugin.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { getAlone } from '../../src/supervisor/http-get.ts';
import { probeHealth, probeIdentity, untilReady } from '../../src/supervisor/probe.ts';
import type { Listener } from '../../src/supervisor/providers/provider.ts';
import type { ProbeTarget } from '../../src/supervisor/probe.ts';
import { ManualClock } from '../support/manual-clock.ts';

const engine: Engine = fake.configure({});
const never = new AbortController().signal;
const deps = { clock: systemClock, get: getAlone };

async function serve(t: TestContext, listener: RequestListener): Promise<ProbeTarget> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    upstream: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: 'secret',
    listener: () => Promise.resolve('ours'),
  };
}

const identities: readonly [what: string, status: number, body: string, expected: RegExp | 'ok'][] = [
  ['our model among others', 200, '{"object":"list","data":[{"id":"other"},{"id":"demo"}]}', 'ok'],
  ['another model', 200, '{"object":"list","data":[{"id":"other"}]}', /^mismatch: .* serves other; expected demo/],
  ['no model', 200, '{"object":"list","data":[]}', /^mismatch: .* serves none; expected demo/],
  ['our key is refused', 401, '', /^mismatch: .* refuses our key \(GET \/v1\/models: 401\)/],
  ['not there yet', 503, '', /^miss: GET \/v1\/models: 503/],
  ['not JSON', 200, '<html>', /^miss: GET \/v1\/models: 200, but not a list of models/],
];
for (const [what, status, body, expected] of identities) {
  test(`identity: ${what}`, async (t) => {
    const target = await serve(t, (_, response) => response.writeHead(status).end(body));
    const answer = await probeIdentity(deps, target, engine, 'demo', never);
    const words = answer.kind === 'ok' ? 'ok' : `${answer.kind}: ${answer.kind === 'miss' ? answer.seen : answer.detail}`;
    if (expected === 'ok') assert.equal(words, 'ok');
    else assert.match(words, expected);
  });
}

const owners: readonly [what: string, listener: Listener, otherKey: number, expected: RegExp | 'ok'][] = [
  ['its sockets are our group’s', 'ours', 200, 'ok'],
  ['its sockets are another’s', 'foreign', 401, /^mismatch: another process listens on /],
  ['nothing is seen, and it refuses a wrong key', 'unknown', 401, 'ok'],
  ['nothing is seen, and it accepts any key', 'unknown', 200, /^mismatch: .* accepts any key \(GET \/v1\/models: 200\)/],
  ['others run it', 'external', 200, 'ok'],
];
for (const [what, listener, otherKey, expected] of owners) {
  test(`whose it is: ${what}`, async (t) => {
    const target = await serve(t, ({ headers }, response) =>
      response.writeHead(headers.authorization === 'Bearer secret' ? 200 : otherKey).end('{"data":[{"id":"demo"}]}'),
    );
    const answer = await probeIdentity(deps, { ...target, listener: () => Promise.resolve(listener) }, engine, 'demo', never);
    const words = answer.kind === 'ok' ? 'ok' : `${answer.kind}: ${answer.kind === 'miss' ? answer.seen : answer.detail}`;
    if (expected === 'ok') assert.equal(words, 'ok');
    else assert.match(words, expected);
  });
}

test('the identity probe sends the key of the replica', async (t) => {
  let seen: string | undefined;
  const target = await serve(t, (request, response) => {
    seen = request.headers.authorization;
    response.end('{"data":[{"id":"demo"}]}');
  });
  await probeIdentity(deps, target, engine, 'demo', never);
  assert.equal(seen, 'Bearer secret');
});

test('a body without end is refused, not buffered', async (t) => {
  const target = await serve(t, (_, response) => {
    const chunk = Buffer.alloc(65_536, ' ');
    const write = (): void => {
      while (response.write(chunk));
      response.once('drain', write);
    };
    write();
  });
  const answer = await probeIdentity(deps, target, engine, 'demo', never);
  assert.deepEqual(answer, { kind: 'miss', seen: 'GET /v1/models: the reply is larger than 1000000 bytes' });
});

test('a probe that gets no answer in time is a miss, and lets go of the connection', async (t) => {
  const clock = new ManualClock();
  const asked = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const target = await serve(t, (request) => {
    request.socket.once('close', () => closed.resolve());
    asked.resolve();
  });
  const answer = probeHealth({ clock, get: getAlone }, target, { path: '/health', timeoutMs: 1 }, 5000, never);
  await asked.promise;
  await clock.advance(5000);
  assert.deepEqual(await answer, { kind: 'miss', seen: 'GET /health: no answer within 5000 ms', silent: true });
  await closed.promise;
});

test('a refused connection is a miss', async () => {
  const answer = await probeHealth(
    deps,
    { upstream: 'http://127.0.0.1:1', apiKey: '', listener: () => Promise.resolve('unknown') },
    { path: '/health', timeoutMs: 1 },
    5000,
    never,
  );
  assert.match(answer.kind === 'miss' ? answer.seen : '', /GET \/health: .*ECONNREFUSED/);
});

test('an abort ends a probe with its reason', async (t) => {
  const asked = Promise.withResolvers<void>();
  const target = await serve(t, () => asked.resolve());
  const abort = new AbortController();
  const ended = assert.rejects(probeHealth(deps, target, engine.probes.liveness, 60_000, abort.signal), { message: 'the replica exited' });
  await asked.promise;
  abort.abort(new Error('the replica exited'));
  await ended;
});

test('untilReady goes on through refusals, 503 and an identity that is not there yet', async () => {
  const clock = new ManualClock();
  const replies = [new Error('connect ECONNREFUSED'), 503, 200, 503, 200, 200];
  const missed: string[] = [];
  const get = async () => {
    const next = replies.shift();
    if (typeof next !== 'number') throw next ?? new Error('asked too often');
    return { status: next, body: '{"data":[{"id":"demo"}]}' };
  };
  const ready = untilReady(
    { clock, get },
    { upstream: '', apiKey: '', listener: () => Promise.resolve('ours') },
    engine,
    'demo',
    { missed: (seen) => void missed.push(seen), news: () => new Promise(() => undefined) },
    never,
  );
  await clock.advance(10_000);
  assert.deepEqual(await ready, { kind: 'ok' });
  assert.deepEqual(missed, ['GET /health: connect ECONNREFUSED', 'GET /health: 503', 'GET /v1/models: 503']);
  assert.equal(clock.pending, 0);
});

test('untilReady looks at once when the engine says that it is further, and often after that', async () => {
  const clock = new ManualClock();
  const asked: number[] = [];
  let news = Promise.withResolvers<void>();
  let status = 503;
  const get = async () => {
    asked.push(clock.now());
    return { status, body: '{"data":[{"id":"demo"}]}' };
  };
  const target = { upstream: '', apiKey: '', listener: () => Promise.resolve('ours' as const) };
  const ready = untilReady({ clock, get }, target, engine, 'demo', { missed: () => undefined, news: () => news.promise }, never);
  await clock.advance(30_000);
  const [last = 0, before = 0] = asked.toReversed();
  assert.equal(last - before, 1000, 'a slow start is looked at each second');
  const told = news;
  news = Promise.withResolvers();
  told.resolve();
  const count = asked.length;
  await clock.advance(0);
  assert.equal(asked.length, count + 1, 'at once');
  status = 200;
  await clock.advance(100);
  assert.deepEqual(await ready, { kind: 'ok' });
  assert.equal(clock.pending, 0);
});
