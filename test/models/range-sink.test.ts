import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { RangeSink, segmentBytesOf } from '../../src/models/range-sink.ts';
import { pour } from '../../src/models/byte-sink.ts';
import type { ByteRange } from '../../src/models/source.ts';
import { temporaryDir } from '../support/model-store.ts';

const kilobyte = 1024;

interface Scene {
  readonly sink: RangeSink;
  readonly told: string[];
  now: number;
}

function sinkInto(t: TestContext, path: string, range: ByteRange): Scene {
  const descriptor = openSync(path, 'w');
  t.after(() => closeSync(descriptor));
  const told: string[] = [];
  const scene = { told, now: 0 };
  const sink = new RangeSink(
    {
      method: 'GET',
      url: '',
      headers: {},
      object: { key: 'm/w.gguf', sizeBytes: 10_000_000 },
      range,
      descriptor,
      path,
      segmentBytes: 256 * kilobyte,
    },
    Buffer.alloc(64 * kilobyte),
    {
      heard: (bytes) => told.push(`heard ${bytes}`),
      written: ({ start, end, crc32: crc }, bytes) => told.push(`written ${start}-${end} ${crc} after ${bytes}`),
    },
    () => scene.now,
  );
  return Object.assign(scene, { sink });
}

describe('a range that is written as it comes', () => {
  it('stands where it belongs, and is told by the segment and at its end', (t) => {
    const path = join(temporaryDir(t), 'w.gguf');
    const body = randomBytes(300 * kilobyte);
    const { sink, told } = sinkInto(t, path, { start: 1000, end: 1000 + body.length });
    void pour(sink, body);
    assert.ok(readFileSync(path).subarray(1000).equals(body));
    const quarter = 256 * kilobyte;
    assert.deepEqual(told, [
      `written 1000-${1000 + quarter} ${crc32(body.subarray(0, quarter))} after ${quarter}`,
      `written 1000-${1000 + body.length} ${crc32(body)} after ${body.length - quarter}`,
    ]);
    assert.throws(() => sink.space(), { problem: 'changed', message: /sent more than was asked for/ });
  });

  it('that comes slowly is heard of four times a second, and what there is of it at the end is told', (t) => {
    const path = join(temporaryDir(t), 'w.gguf');
    const scene = sinkInto(t, path, { start: 0, end: 100 });
    for (const now of [100, 260, 300]) {
      scene.now = now;
      void pour(scene.sink, Buffer.alloc(10, now));
    }
    scene.sink.tell();
    scene.sink.tell();
    assert.deepEqual(scene.told, ['heard 20', `written 0-30 ${crc32(readFileSync(path))} after 10`]);
  });

  it('is an error where the disk has no room for it', (t) => {
    const { sink, told } = sinkInto(t, '/dev/full', { start: 0, end: 100 });
    sink.space().fill(1);
    assert.throws(() => sink.filled(100), { problem: 'no-space', message: /The disk is full \(ENOSPC\) while writing \/dev\/full/ });
    sink.tell();
    assert.deepEqual(told, [], 'nothing is in the file');
  });

  it('is told of in pieces that are little of a large download, and of no more than two megabytes', () => {
    const [quarter, gigabyte] = [256 * kilobyte, 1024 ** 3];
    assert.deepEqual(
      [0, gigabyte, gigabyte + 1, 4 * gigabyte, 100 * gigabyte].map((bytes) => segmentBytesOf(bytes)),
      [quarter, quarter, quarter + 1, 4 * quarter, 8 * quarter],
    );
  });
});
