import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isFree, Ports } from '../../../src/supervisor/providers/ports.ts';

/** Ports 100 to 100 + count - 1, of which some are in use by others. Real ones beside a known one belong to whoever takes them first. */
function portsWithout(taken: readonly number[], count: number): Ports {
  return new Ports(
    { first: 100, count },
    () => 0,
    async (port) => !taken.includes(port),
  );
}

test('a port is not free where somebody listens on it, on this address or on all', async (t) => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    assert.equal(await isFree(port), false);
    await assert.rejects(new Ports({ first: port, count: 1 }, () => 0).take(1), { code: 'start_failed' });
  }
});

test('a port in use, by us or by others, is not given', async () => {
  const ports = portsWithout([100], 3);
  const [first, second] = await Promise.all([ports.take(1), ports.take(1)]);
  assert.deepEqual(new Set([first, second]), new Set([101, 102]));
  await assert.rejects(ports.take(1), { code: 'start_failed', message: /between 100 and 102 \(gateway\.engine_ports\)/u });
  ports.release(102, 1);
  assert.equal(await ports.take(1), 102);
});

test('ports in a row are free, all of them, and shared with nobody', async () => {
  const ports = portsWithout([102], 9);
  // 100, 101 | 102 | 103 ... 108
  assert.equal(await ports.take(3), 103);
  assert.equal(await ports.take(2), 100);
  assert.equal(await ports.take(3), 106);
  await assert.rejects(ports.take(3), { code: 'start_failed', message: /^no 3 free ports in a row for an engine between / });
  ports.release(103, 3);
  ports.reserve(105, 1);
  await assert.rejects(ports.take(3));
  assert.equal(await ports.take(2), 103);
});
