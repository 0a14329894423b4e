import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { crc32 as byTables } from 'node:zlib';
import { crc32, joinCrc32 } from '../../src/models/crc32.ts';

describe('the CRC-32', () => {
  it('is that of zlib, of whatever lengths and places, one behind the other', () => {
    const bytes = randomBytes(70_000);
    let [ours, theirs] = [0, 0];
    for (let at = 0, length = 0; at + length <= bytes.length; at += length, length = Math.ceil(length * 1.3) + 1) {
      const piece = new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
      [ours, theirs] = [crc32(piece, ours), byTables(piece, theirs)];
      assert.equal(ours, theirs, `${length} bytes at ${at}`);
    }
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  });

  it('of two texts in a row is known from that of each', () => {
    const [first, second] = [randomBytes(1000), randomBytes(300_001)];
    assert.equal(joinCrc32(crc32(first), crc32(second), second.length), crc32(Buffer.concat([first, second])));
  });
});
