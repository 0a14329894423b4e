import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { probed } from './support/memory.ts';
import { residentKb, sumOf } from './support/oracles.ts';
import { model, row, type Victim } from './support/row.ts';

function socketTo(t: TestContext, gateway: Victim): Socket {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  t.after(() => socket.destroy());
  return socket;
}

const bodyFor = (content: string): string => JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] });
const post = (body: string, more = ''): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n`;

row(80, async ({ start }) => {
  const gateway = await start([model('m', { headers: 'evil' }), model('two', { headers: 'duplicate-length' })]);
  const reply = await gateway.ask('m');
  assert.equal(reply.status, 200);
  for (const name of ['x-foo', 'proxy-authenticate', 'set-cookie', 'server']) assert.equal(reply.headers[name], undefined, name);
  const doubtful = await gateway.ask('two');
  assert.equal(doubtful.status, 502, doubtful.text);
});

row(81, async ({ t, start }) => {
  const gateway = await start([model('m', { close_reused: 10, keep_alive_ms: 5000, max_num_seqs: 20 })]);
  const requests = 1000;
  for (let sent = 0; sent < requests; sent += 20) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => gateway.ask('m')));
    for (const { status, text: body } of replies) assert.equal(status, 200, body);
  }
  const retries = sumOf(await gateway.metrics(), 'roundhouse_retries_total');
  t.diagnostic(`${requests} requests, ${retries} of them sent twice`);
  assert.ok(retries >= 50, `${retries} met a connection that was being closed`);
});

row(82, async ({ t, start }) => {
  const gateway = await start([model('m')]);
  const socket = socketTo(t, gateway);
  const words = ['first', 'second', 'third'];
  gateway.sentByHand(words.length);
  const requests = words.map((word, at) => {
    const body = bodyFor(word);
    return post(body, at === words.length - 1 ? 'Connection: close\r\n' : '') + body;
  });
  socket.write(requests.join(''));
  const replies = (await text(socket)).match(/"content":"(\w+)"/gu);
  assert.deepEqual(
    replies,
    words.map((word) => `"content":"${word}"`),
  );
});

row(83, async ({ t, start }) => {
  const gateway = await start([model('m')], { more: { limits: { max_body_bytes: 2048 } } });
  const small = bodyFor('one');
  const socket = socketTo(t, gateway);
  gateway.sentByHand(2);
  socket.write(post(small, 'Expect: 100-continue\r\nConnection: close\r\n'));
  const [interim] = (await once(socket, 'data')) as [Buffer];
  assert.match(interim.toString(), /^HTTP\/1\.1 100 /u);
  socket.write(small);
  assert.match(await text(socket), /HTTP\/1\.1 200 /u);
  const large = socketTo(t, gateway);
  large.write(post('x'.repeat(4096), 'Expect: 100-continue\r\nConnection: close\r\n'));
  assert.match(await text(large), /^HTTP\/1\.1 413 /u, 'and before that no 100: the body is never asked for');
});

row(84, async ({ t, start }) => {
  const gateway = await start([model('m')]);
  const cases = [
    ['GET', '/v1/chat/completions', 'POST'],
    ['OPTIONS', '/v1/chat/completions', 'POST'],
    ['DELETE', '/v1/completions', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['PUT', '/health', 'GET, HEAD'],
  ] as const;
  gateway.sentByHand(cases.length + 1);
  for (const [method, path, allow] of cases) {
    const response = await fetch(gateway.url + path, { method });
    assert.equal(response.status, 405, `${method} ${path}`);
    assert.equal(response.headers.get('allow'), allow);
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'method_not_allowed');
  }
  for (const [origin, status] of [
    ['http://localhost:3000', 204],
    ['https://evil.example', 405],
  ] as const) {
    const headers = { origin, 'access-control-request-method': 'POST' };
    gateway.sentByHand(status === 405 ? 1 : 0);
    assert.equal((await fetch(`${gateway.url}/v1/chat/completions`, { method: 'OPTIONS', headers })).status, status, origin);
  }
  const head = await fetch(`${gateway.url}/v1/models`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
  const unknown = socketTo(t, gateway);
  unknown.write('BREW /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  assert.match(await text(unknown), /^HTTP\/1\.1 400 /u, 'a method that is none');
});

row(85, async ({ start }) => {
  const gateway = await start([model('m')]);
  const without = await (await gateway.stream('m')).rest();
  assert.doesNotMatch(without, /"usage":\{/u, 'never invented');
  const asked = await (await gateway.stream('m', { stream_options: { include_usage: true } })).rest();
  assert.match(asked, /"usage":\{"prompt_tokens":\d+,"completion_tokens":3,/u);
});

row(86, async ({ t, start, flat }) => {
  const gateway = await start([model('m', { tokens: 20_000, text: 'x'.repeat(10_000) })], probed);
  await flat(gateway, async () => {
    const before = await residentKb(gateway.pid);
    let highest = before;
    let bytes = 0;
    gateway.sentByHand(1);
    const response = await gateway.post({ model: 'm', messages: [{ role: 'user', content: 'one' }] });
    assert.equal(response.status, 200);
    assert.ok(response.body !== null);
    for await (const piece of response.body) {
      if (bytes >> 24 !== (bytes + piece.length) >> 24) highest = Math.max(highest, await residentKb(gateway.pid));
      bytes += piece.length;
    }
    assert.ok(bytes > 200_000_000, `${bytes} bytes`);
    t.diagnostic(`${bytes} bytes; the gateway grew by ${highest - before} kB`);
    assert.ok(highest - before < 100_000, `the gateway grew by ${highest - before} kB: it did not hold the reply`);
  });
});

row(87, async ({ t, start }) => {
  const gateway = await start([model('m')]);
  const socket = socketTo(t, gateway);
  gateway.sentByHand(1);
  const body = bodyFor('one');
  socket.write(post(body, 'Accept-Encoding: gzip, br\r\nConnection: close\r\n') + body);
  assert.match(await text(socket), /^HTTP\/1\.1 200 (?:(?!content-encoding)[\s\S])*$/iu);
  const { seen } = await (await gateway.engine('m')).state();
  assert.equal(seen.length, 1);
  assert.equal(seen[0]?.headers['accept-encoding'], undefined);
});

row(88, async ({ t, start }) => {
  const gateway = await start([model('m')]);
  const socket = socketTo(t, gateway);
  gateway.sentByHand(1);
  socket.write(
    'GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 (404|426) /u);
});
