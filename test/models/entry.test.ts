import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
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
