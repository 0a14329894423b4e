import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ambiguousRequests, rightTypes, trickyPaths, wrongTypes } from '../support/http-corpus.ts';
import { rawRequest } from '../support/raw-http.ts';
import { until } from '../support/until.ts';
import { sumOf } from './support/oracles.ts';
import { chat, rawClient, sawNothing, seenBy } from './support/raw.ts';
import { model, patienceMs, row, type Victim } from './support/row.ts';

const body = JSON.stringify(chat());

row(93, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  for (const [name, request] of wrongTypes) {
    const { status, code } = await client.ask({ ...request, body });
    assert.deepEqual([status, code], [415, 'media_type_unsupported'], name);
  }
  await sawNothing(gateway);
  for (const type of rightTypes) assert.equal((await client.ask({ headers: [`Content-Type: ${type}`], body })).status, 200, type);
});

row(96, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  // Behind each stands a request that would be served if the first one were taken for shorter than it is.
  const smuggled = rawRequest({ body }).toString('latin1');
  for (const [name, bytes] of ambiguousRequests(body)) {
    const { statuses } = await client.send([bytes, smuggled]);
    assert.deepEqual(statuses, [400], name);
  }
  await sawNothing(gateway);
});

row(97, async ({ start }) => {
  const key = 'canary-user-key-0123456789';
  const gateway = await start([model('m')], { more: { keys: [{ name: 'a', key }] } });
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const bearer = `Authorization: Bearer ${key}`;
  const get = (target: string, headers: readonly string[], host = 'localhost'): ReturnType<typeof client.ask> =>
    client.ask({ method: 'GET', target, headers, host });
  for (const host of ['a/?', 'localhost/v1/models', 'a@localhost', 'a,localhost']) {
    const { status, code } = await get('/v1/models', [bearer], host);
    assert.deepEqual([status, code], [400, 'request_invalid'], host);
  }
  assert.equal((await get('/v1/models', [bearer, 'Host: other'])).status, 400);
  for (const target of ['http://localhost/v1/models', 'http://localhost/health', 'localhost:80'])
    assert.equal((await get(target, [bearer])).status, 400);
  // Open routes in the query, the fragment or before the path open nothing.
  for (const target of ['/v1/models?/health', '/v1/models?x=/ready', '/v1/models/?/health'])
    assert.equal((await get(target, [])).status, 401, target);
  for (const target of ['/health/../v1/models', '/health%2f..%2fv1%2fmodels', '/ready//v1/models'])
    assert.equal((await get(target, [])).status, 404, target);
  for (const name of ['X-Original-URL: /health', 'X-Rewrite-URL: /health', 'X-Forwarded-Path: /health', 'X-HTTP-Method-Override: OPTIONS'])
    assert.equal((await get('/v1/models', [name])).status, 401, name);
  gateway.sentByHand(-1);
  assert.equal((await get('/v1/models', [bearer])).status, 200);
});

const many = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `a${at}:`);

row(98, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  for (const headers of [many(300), many(2500), [`A: ${'x'.repeat(17 * 1024)}`], [`${'a'.repeat(17 * 1024)}: x`]]) {
    const { status, code } = await client.ask({ headers: ['Content-Type: application/json', ...headers], body });
    assert.deepEqual([status, code], [431, 'headers_too_large']);
  }
  await sawNothing(gateway);
  assert.equal((await client.ask({ headers: [...many(200), 'Content-Type: application/json'], body })).status, 200);
});

interface Slow {
  readonly socket: Socket;
  /** All that came, once it was closed. */
  readonly closed: Promise<string>;
}

function slowSocket(gateway: Victim, beginning: string): Slow {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  // Cut off while it writes: that is the point.
  socket.on('error', () => undefined);
  socket.write(beginning);
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve(text))) };
}

row(99, async ({ t, start }) => {
  const count = 5000;
  const limits = { headers_timeout_s: 10, request_timeout_s: 12, max_connections: 10_000 };
  const gateway = await start([model('m')], { more: { limits } });
  await gateway.pidOf('m');
  const headers = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-A: ';
  const bodies = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`;
  const slow = Array.from({ length: count }, (_, at) => slowSocket(gateway, at % 2 === 0 ? headers : bodies));
  gateway.sentByHand(count);
  t.after(() => slow.forEach(({ socket }) => socket.destroy()));
  await Promise.all(slow.filter(({ socket }) => socket.connecting).map(({ socket }) => once(socket, 'connect')));
  const over = new AbortController();
  const all = Promise.all(slow.map(({ closed }) => closed)).finally(() => over.abort());
  let served = 0;
  while (!over.signal.aborted) {
    const { status, text } = await gateway.ask('m');
    assert.equal(status, 200, text);
    served += 1;
    for (const { socket } of slow) if (socket.writable) socket.write('a');
  }
  const answers = await all;
  assert.ok(served >= 5, `${served} others were served meanwhile`);
  // A byte that is written as the connection closes can take the answer down with it.
  assert.ok(answers.every((answer) => answer === '' || /^HTTP\/1\.1 408 .*"request_timeout"/su.test(answer)));
  t.diagnostic(`${served} requests were served while ${count} slow ones were open`);
  await until(
    'each is counted',
    async () => sumOf(await gateway.metrics(), 'roundhouse_rejected_requests_total', 'code="request_timeout"') === count,
    patienceMs,
  );
});

row(100, async ({ start }) => {
  const gateway = await start([model('m')]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  for (const target of trickyPaths) assert.equal((await client.ask({ method: 'GET', target, headers: [] })).status, 404, target);
  for (const target of [
    '/v1/chat/completions/..%2f..%2ffake%2fcontrol',
    '/v1/chat/completions%00',
    '//v1/chat/completions',
    '/v1/chat/completions;x',
    '/fake/control',
    '/v1/load_lora_adapter',
  ])
    assert.equal((await client.ask({ target, body })).status, 404, target);
  assert.equal((await seenBy(gateway)).requests, 0);
});
