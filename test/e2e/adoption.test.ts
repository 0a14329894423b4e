import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fakeModel, startGateway, tempDir } from '../support/gateway-process.ts';

const ask = { model: 'm', messages: [{ role: 'user', content: 'one two three' }] };

describe('a gateway that ends without its engines', () => {
  for (const [how, flags, signal] of [
    ['kill -9', [], 'SIGKILL'],
    ['--keep-engines', ['--keep-engines'], 'SIGTERM'],
  ] as const) {
    test(`${how}: the next start takes them over, same processes, and they serve`, async (t) => {
      const stateDir = join(await tempDir(t), 'state');
      const models = [fakeModel('m', {}, { num_replicas: 2 })];
      const first = await startGateway(t, models, { stateDir, flags });
      const before = await first.engines();
      assert.equal(before.length, 2);
      first.signal(signal);
      await first.exited;
      assert.deepEqual(await first.engines(), before);
      const second = await startGateway(t, models, { stateDir });
      assert.deepEqual(await second.engines(), before);
      assert.deepEqual(new Set((await second.status())[0]?.replicas.map(({ pid }) => pid)), new Set(before));
      assert.equal((await second.post(ask)).status, 200);
      second.signal('SIGTERM');
      assert.deepEqual(await second.exited, { code: 0, signal: null });
      assert.deepEqual(await second.engines(), []);
    });
  }

  test('what the new config does not want is ended before anything starts', async (t) => {
    const stateDir = join(await tempDir(t), 'state');
    const first = await startGateway(t, [fakeModel('m')], { stateDir });
    const before = await first.engines();
    first.signal('SIGKILL');
    await first.exited;
    const second = await startGateway(t, [fakeModel('m', { tokens: 5 })], { stateDir });
    const after = await second.engines();
    assert.equal(after.length, 1);
    assert.notDeepEqual(after, before);
  });
});
