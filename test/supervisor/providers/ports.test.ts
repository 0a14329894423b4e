import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Ports } from '../../../src/supervisor/providers/ports.ts';

test('a port in use, by us or by others, is not given', async (t) => {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.after(() => server.close());
  const taken = (server.address() as AddressInfo).port;
  const ports = new Ports({ first: taken, count: 3 }, () => 0);
  const [first, second] = await Promise.all([ports.take(1), ports.take(1)]);
  assert.deepEqual(new Set([first, second]), new Set([taken + 1, taken + 2]));
  await assert.rejects(ports.take(1), {
    code: 'start_failed',
    message: new RegExp(`between ${taken} and ${taken + 2} \\(gateway\\.engine_ports\\)`),
  });
  ports.release(taken + 2, 1);
  assert.equal(await ports.take(1), taken + 2);
});

test('ports in a row are free, all of them, and shared with nobody', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const taken = (server.address() as AddressInfo).port;
  const first = taken - 2;
  const ports = new Ports({ first, count: 9 }, () => 0);
  // first, first + 1 | taken | taken + 1 ... taken + 6
  assert.equal(await ports.take(3), taken + 1);
  assert.equal(await ports.take(2), first);
  assert.equal(await ports.take(3), taken + 4);
  await assert.rejects(ports.take(3), { code: 'start_failed', message: /^no 3 free ports in a row for an engine between / });
  ports.release(taken + 1, 3);
  ports.reserve(taken + 3, 1);
  await assert.rejects(ports.take(3));
  assert.equal(await ports.take(2), taken + 1);
});
