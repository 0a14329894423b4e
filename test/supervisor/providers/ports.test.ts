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
  const [first, second] = await Promise.all([ports.take(), ports.take()]);
  assert.deepEqual(new Set([first, second]), new Set([taken + 1, taken + 2]));
  await assert.rejects(ports.take(), {
    code: 'start_failed',
    message: new RegExp(`between ${taken} and ${taken + 2} \\(gateway\\.engine_ports\\)`),
  });
  ports.release(taken + 2);
  assert.equal(await ports.take(), taken + 2);
});
