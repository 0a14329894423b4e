import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { readJournal, wholeCrc32 } from '../../src/models/partial.ts';

describe('the journal of a download', () => {
  const body = randomBytes(1000);
  const lineOf = (start: number, end: number): string => `0 ${start} ${end} ${crc32(body.subarray(start, end)).toString(16)}`;

  it('knows a part by its last line, of those that begin at the same place', () => {
    const text = [lineOf(0, 100), lineOf(600, 700), lineOf(0, 250), lineOf(600, 1000), lineOf(0, 600), ''].join('\n');
    const [segments = []] = readJournal(text, 1);
    assert.deepEqual(
      segments.map(({ start, end }) => [start, end]),
      [
        [0, 600],
        [600, 1000],
      ],
    );
    assert.equal(wholeCrc32(body.length, segments), crc32(body));
  });

  it('goes by the line before where a crash has torn the last one', () => {
    const torn = lineOf(0, 1000).slice(0, -3);
    const [segments = []] = readJournal(`${lineOf(0, 400)}\n${torn}`, 1);
    assert.deepEqual(segments, [{ start: 0, end: 400, crc32: crc32(body.subarray(0, 400)) }]);
    assert.equal(wholeCrc32(body.length, segments), undefined);
  });

  it('goes on behind what a cut part has left, and anew after what was thrown away', () => {
    const text = [lineOf(0, 700), 'forget 0', lineOf(0, 300), lineOf(300, 500), lineOf(300, 1000), ''].join('\n');
    const [segments = []] = readJournal(text, 1);
    assert.equal(segments.length, 2);
    assert.equal(wholeCrc32(body.length, segments), crc32(body));
  });
});
