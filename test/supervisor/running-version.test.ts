import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fake } from '../../src/plugins/fake/index.ts';
import { readRelease } from '../../src/supervisor/running-version.ts';
import type { HttpReply } from '../../src/supervisor/http-get.ts';
import { ManualClock } from '../support/manual-clock.ts';

const never = new AbortController().signal;
const refuse = (): Promise<HttpReply> => assert.fail('asked');
const target = { upstream: 'http://engine', apiKey: 'key', listener: () => Promise.resolve('ours' as const) };

describe('what a running engine says it is', () => {
  for (const [name, reply, version, advised] of [
    ['a version that is well', { status: 200, body: '{"version":"1.0.0"}' }, '1.0.0', false],
    ['one that is too old', { status: 200, body: '{"version":"0.9"}' }, '0.9', true],
    ['one that cannot be compared', { status: 200, body: '{"version":"main"}' }, 'main', false],
    ['a page without one', { status: 200, body: '[1]' }, undefined, false],
    ['no JSON', { status: 200, body: '<html>' }, undefined, false],
    ['no such page', { status: 404, body: '{"version":"1.0.0"}' }, undefined, false],
    ['no answer', undefined, undefined, false],
  ] as const) {
    test(name, async () => {
      const asked: string[] = [];
      const get = (url: string, key: string): Promise<HttpReply> => {
        asked.push(`${url} ${key}`);
        return reply === undefined ? Promise.reject(new Error('connection reset')) : Promise.resolve(reply);
      };
      const release = await readRelease({ clock: new ManualClock(), get }, target, fake.configure({}), never);
      assert.equal(release?.version, version);
      assert.equal(release?.advisory !== undefined, advised);
      assert.deepEqual(asked, ['http://engine/version key']);
    });
  }

  test('one that has no version of its own is not asked', async () => {
    const { version: _, ...engine } = fake.configure({});
    assert.equal(await readRelease({ clock: new ManualClock(), get: refuse }, target, engine, never), undefined);
  });
});
