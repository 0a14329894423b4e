import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, ListenOptions } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Listener } from '../../../src/supervisor/providers/provider.ts';
import { isPastListeners, listenersIn, listenerOf } from '../../../src/supervisor/providers/listener.ts';

test('listeners on a port, and which of them take connections to 127.0.0.1, out of the kernel’s table', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1088 1 0000000011f0b878 100 0 0 10 0
   1: 0100007F:4E21 0100007F:E5A4 01 00000000:00000000 00:00000000 00000000     0        0 1089 1 0000000011f0b878 20 4 30 10 -1
   2: 00000000:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1090 1 0000000011f0b878 100 0 0 10 0
   3: 0501A8C0:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1091 1 0000000011f0b878 100 0 0 10 0
`;
  const [loopback, any, other] = [
    { inode: '1088', onLoopback: true },
    { inode: '1090', onLoopback: true },
    { inode: '1091', onLoopback: false },
  ];
  assert.deepEqual(listenersIn(table, 20_001), [loopback]);
  assert.deepEqual(listenersIn(table, 20_002), [any, other]);
  assert.deepEqual(listenersIn(table, 20_003), []);
});

test('a table is read on while all that it names listen, wherever a piece of it ends', () => {
  const head = '  sl  local_address rem_address   st tx_queue\n';
  const listener = '   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000\n';
  const over = '  12: 0100007F:4E21 0100007F:E5A4 06 00000000:00000000\n';
  for (const text of ['', head, head + listener]) assert.equal(isPastListeners(text), false);
  assert.equal(isPastListeners(head + listener + over), true);
  assert.equal(isPastListeners(over.replaceAll('0100007F', '00000000000000000000000001000000')), true, 'tcp6');
  const cut = Array.from(over, (_, at) => isPastListeners(head + listener + over.slice(0, at)));
  assert.equal(cut.indexOf(true), over.indexOf('06 ') + 3);
});

const missing = (): Promise<never> => Promise.reject(new Error('looked for more than the first process'));

test('a listener is found among more of them than one piece of the table holds, and beside connections', async (t) => {
  const ports = await Promise.all(Array.from({ length: 150 }, () => listen(t)));
  const sockets = await Promise.all(
    ports.map(async (port) => {
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    }),
  );
  assert.equal(sockets.length, ports.length);
  for (const port of [ports[0], ports.at(-1)]) assert.equal(await listenerOf(port ?? 0, process.pid, missing), 'ours');
});

async function listen(t: TestContext, where: ListenOptions = { host: '127.0.0.1' }): Promise<number> {
  const server = createServer();
  server.listen({ port: 0, ...where });
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a socket of one of the processes is ours, of any other foreign; without a listener nothing is known', async (t) => {
  const port = await listen(t);
  const other = spawn(process.execPath, ['-e', `console.log('up'); setInterval(() => undefined, 1000)`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => other.kill('SIGKILL'));
  await once(other.stdout, 'data');
  assert.ok(other.pid !== undefined);
  const { pid } = other;
  const among = (...pids: readonly number[]): Promise<Listener> => listenerOf(port, pid, () => Promise.resolve(pids));
  assert.equal(await among(pid, process.pid), 'ours');
  assert.equal(await among(pid), 'foreign');
  assert.equal(await among(), 'foreign');
  assert.equal(await listenerOf(1, process.pid, missing), 'unknown');
  assert.equal(await listenerOf(port, process.pid, missing), 'ours');
  // A process that is gone, or another user's.
  assert.equal(await among(2 ** 22 + 1), 'unknown');
  // By IPv6 alone, where there is any, as Node listens without an address.
  const everywhere = await listen(t, {});
  assert.equal(await listenerOf(everywhere, process.pid, missing), 'ours');
});
