import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyDigest, noLimits } from '../../src/core/access.ts';
import { guessMemory, Guesses, networkOf } from '../../src/gateway/auth/guesses.ts';
import { dataPlane } from '../support/data-plane.ts';

test('an address that tries too many wrong keys is held back before its key is looked at, and then may try again', async (t) => {
  let now = 0n;
  const key = { name: 'a', sha256: keyDigest('right'), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits };
  const gateway = await dataPlane(t, [], { access: { keys: [key] }, failedAuthPerMinute: 3, nanoseconds: () => now });
  const ask = async (value: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${value}` } });
  for (let turn = 0; turn < 20; turn += 1) assert.equal((await ask('right')).status, 200, 'right keys do not count');
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await ask('wrong')).status, 401);
  const held = await ask('wrong');
  assert.equal(held.status, 429);
  assert.equal(held.headers.get('retry-after'), '20');
  assert.equal(((await held.json()) as { error: { code: string } }).error.code, 'rate_limited');
  assert.equal((await ask('right')).status, 429, 'else the answer would tell a right key from a wrong one');
  assert.equal((await fetch(`${gateway.url}/health`)).status, 200);
  now += 20_000_000_000n;
  assert.equal((await ask('right')).status, 200);
});

test('100 000 addresses that guess take no more memory, and hold back hardly anybody else', () => {
  const memory = guessMemory('salt');
  const guesses = new Guesses(memory, 5, () => 0n);
  const before = memory.buckets.byteLength;
  const isHeld = (address: string): boolean => {
    try {
      guesses.check(address);
      return false;
    } catch {
      return true;
    }
  };
  for (let at = 0; at < 300; at += 1) for (let turn = 0; turn < 5; turn += 1) guesses.failed(`10.1.${at >> 8}.${at & 255}`);
  assert.ok(isHeld('10.1.0.7'));
  const others = Array.from({ length: 2000 }, (_, at) => `192.168.${at >> 8}.${at & 255}`).filter(isHeld);
  assert.ok(others.length <= 10, `${others.length} of 2000`);
  for (let at = 0; at < 100_000; at += 1) guesses.failed(`172.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
  assert.equal(memory.buckets.byteLength, before);
});

test('a client is its IPv4 address, or the /64 network of its IPv6 address', () => {
  const cases: readonly [address: string, network: string][] = [
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8:0:7:1:2:3:4', '2001:db8:0:7'],
    ['2001:0DB8::7:0:0:0:9', '2001:db8:0:7'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['', ''],
  ];
  for (const [address, network] of cases) assert.equal(networkOf(address), network, address);
});
