import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { revisionOf } from '../../src/models/cache.ts';
import { entryFile, readEntry, writeEntry } from '../../src/models/entry.ts';
import type { Entry } from '../../src/models/entry.ts';
import { temporaryDir } from '../support/model-store.ts';

const entryOf = (files: number): Entry => ({
  reference: 's3://bucket/"models"',
  revision: '0123456789ab',
  fetchedAt: '2026-11-29T05:00:00.000Z',
  sizeBytes: files,
  boot: '',
  files: Array.from({ length: files }, (_, at) => ({ path: `sub/ü-${at}.json`, sizeBytes: 1, etag: `"${at}"`, crc32: at })),
});

describe('the entry of a model in the cache', () => {
  it('is one JSON text, however many files it has', (t) => {
    for (const files of [0, 1, 999, 1000, 1001, 2500]) {
      const dir = temporaryDir(t);
      const entry = entryOf(files);
      writeEntry(dir, entry);
      assert.deepEqual(readEntry(dir), entry, `${files} files`);
      assert.equal(readFileSync(join(dir, entryFile), 'utf8'), JSON.stringify(entry));
    }
  });
});

function read(t: TestContext, text: string): Entry | undefined {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, entryFile), text);
  return readEntry(dir);
}

describe('what stands in the place of an entry', () => {
  const good = entryOf(1);
  const [file] = good.files;
  it('is read where it has no boot, as older ones', (t) => {
    const { boot: _, ...older } = good;
    assert.deepEqual(read(t, JSON.stringify(older)), good);
  });

  const bad: Readonly<Record<string, unknown>> = {
    'is no object': [good],
    'is null': null,
    'has no reference': { ...good, reference: undefined },
    'has a number for a revision': { ...good, revision: 1 },
    'has another boot': { ...good, boot: null },
    'has a size below 0': { ...good, sizeBytes: -1 },
    'has half a byte': { ...good, sizeBytes: 0.5 },
    'has its files by name': { ...good, files: { a: file } },
    'has a file that is none': { ...good, files: [file, null] },
    'has a file outside': { ...good, files: [{ ...file, path: '../x' }] },
    'has a file without a name': { ...good, files: [{ ...file, path: undefined }] },
    'has a file without an ETag': { ...good, files: [{ ...file, etag: undefined }] },
    'has a file of no size': { ...good, files: [{ ...file, sizeBytes: '1' }] },
    'has a CRC-32 of 33 bits': { ...good, files: [{ ...file, crc32: 0x1_0000_0000 }] },
  };
  for (const [how, value] of Object.entries(bad))
    it(`is none where it ${how}`, (t) => assert.equal(read(t, JSON.stringify(value)), undefined));

  it('is none where it is cut', (t) => assert.equal(read(t, JSON.stringify(good).slice(0, -1)), undefined));
});

describe('the revision of a listing', () => {
  it('is the beginning of the digest of its paths, sizes and digests as JSON, which caches are made of', async () => {
    for (const objects of [0, 1, 3]) {
      const listing = Array.from({ length: objects }, (_, at) => ({
        path: `a-${at}`,
        key: `m/a-${at}`,
        sizeBytes: at,
        etag: '"e"',
        digests: { md5: 'd' },
        ranges: true,
      }));
      const json = JSON.stringify(listing.map(({ path, sizeBytes, etag, digests }) => [path, sizeBytes, etag, digests]));
      assert.equal(await revisionOf(listing), createHash('sha256').update(json).digest('hex').slice(0, 12));
    }
  });
});
