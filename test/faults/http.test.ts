import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { sumOf } from './support/oracles.ts';
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
  // Idle connections are closed by the engine about when the gateway uses them again.
  const gateway = await start([model('m', { keep_alive_ms: 1, max_num_seqs: 20 })]);
  const chains = Array.from({ length: 10 }, async () => {
    for (let count = 0; count < 100; count += 1) assert.equal((await gateway.ask('m')).status, 200);
  });
  await Promise.all(chains);
  t.diagnostic(`1000 requests, ${sumOf(await gateway.metrics(), 'roundhouse_retries_total')} of them sent twice`);
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
  assert.match(await text(large), /HTTP\/1\.1 413 /u);
});

row(84, async ({ start }) => {
  const gateway = await start([model('m')]);
  const { status, headers, code } = await gateway.get('/v1/chat/completions');
  assert.equal(status, 405);
  assert.equal(code, 'method_not_allowed');
  assert.equal(headers['allow'], 'POST');
});

row(85, async ({ start }) => {
  const gateway = await start([model('m')]);
  const without = await (await gateway.stream('m')).rest();
  assert.doesNotMatch(without, /"usage":\{/u, 'never invented');
  const asked = await (await gateway.stream('m', { stream_options: { include_usage: true } })).rest();
  assert.match(asked, /"usage":\{"prompt_tokens":\d+,"completion_tokens":3,/u);
});

row(86, async ({ t, start }) => {
  const gateway = await start([model('m', { tokens: 20_000, text: 'x'.repeat(10_000) })]);
  const { text: body, status } = await gateway.ask('m');
  assert.equal(status, 200);
  assert.ok(body.length > 200_000_000, `${body.length} characters`);
  t.diagnostic(`${body.length} bytes`);
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
