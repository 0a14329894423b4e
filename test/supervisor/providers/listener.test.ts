import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Listener } from '../../../src/supervisor/providers/provider.ts';
import { listeningInodes, listenerOf } from '../../../src/supervisor/providers/listener.ts';

test('the inodes of listeners on a port, out of the kernel’s table', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1088 1 0000000011f0b878 100 0 0 10 0
   1: 0100007F:4E21 0100007F:E5A4 01 00000000:00000000 00:00000000 00000000     0        0 1089 1 0000000011f0b878 20 4 30 10 -1
   2: 00000000:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1090 1 0000000011f0b878 100 0 0 10 0
`;
  assert.deepEqual(listeningInodes(table, 20_001), ['1088']);
  assert.deepEqual(listeningInodes(table, 20_002), ['1090']);
  assert.deepEqual(listeningInodes(table, 20_003), []);
});

const missing = (): Promise<never> => Promise.reject(new Error('looked for more than the first process'));

async function listen(t: TestContext): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
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
});
