import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { getAlone } from '../../src/supervisor/http-get.ts';

const never = new AbortController().signal;

/** A server of bytes: what `answer` writes is what there is. Yields its URL, and the connections it got. */
async function serve(t: TestContext, answer: (socket: Socket, head: string) => void): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', (head) => answer(socket, head.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`, sockets };
}

test('each GET has a connection of its own, and the key where there is one', async (t) => {
  const heads: string[] = [];
  const { url, sockets } = await serve(t, (socket, head) => {
    heads.push(head);
    socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait');
  });
  assert.deepEqual(await getAlone(url, 'secret', never), { status: 503, body: 'wait' });
  assert.deepEqual(await getAlone(url, '', never), { status: 503, body: 'wait' });
  assert.equal(sockets.length, 2);
  assert.match(heads[0] ?? '', /^GET \/health HTTP\/1\.1\r\n(?:.*\r\n)*authorization: Bearer secret\r\n/i);
  assert.doesNotMatch(heads[1] ?? '', /authorization/i);
});

test('a reply that is cut, too large, or no HTTP is an error', async (t) => {
  const cut = await serve(t, (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'));
  await assert.rejects(getAlone(cut.url, '', never), /aborted/);
  const large = await serve(t, (socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_000_001)}`));
  await assert.rejects(getAlone(large.url, '', never), /larger than 1000000 bytes/);
  const strange = await serve(t, (socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
  await assert.rejects(getAlone(strange.url, '', never), /Parse Error/);
  const silent = await serve(t, (socket) => socket.end());
  await assert.rejects(getAlone(silent.url, '', never), /socket hang up/);
});

for (const [when, said] of [
  ['nothing has come', ''],
  ['the reply has begun', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'],
] as const) {
  test(`given up when ${when}: the reason is passed on, and the connection closed`, async (t) => {
    const asked = Promise.withResolvers<undefined>();
    const { url, sockets } = await serve(t, (socket) => {
      if (said === '') asked.resolve(undefined);
      else socket.write(said, () => asked.resolve(undefined));
    });
    const giveUp = new AbortController();
    const reason = new Error('given up');
    const reply = getAlone(url, '', giveUp.signal);
    await asked.promise;
    // Not by `once()` of node:events, to which a reset is an error.
    const closed = new Promise((resolve) => sockets[0]?.once('close', resolve));
    giveUp.abort(reason);
    await assert.rejects(reply, reason);
    await closed;
    await assert.rejects(getAlone(url, '', giveUp.signal), reason);
    assert.equal(sockets.length, 1, 'nothing is asked for who has given up already');
  });
}
