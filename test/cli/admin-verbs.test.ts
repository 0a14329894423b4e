import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

test('status, scale, reload and stop reach the gateway of a state directory', async (t) => {
  const { stateDir, exited } = await startGateway(t, [fakeModel('m')]);
  const verb = (...args: string[]) => runGateway([...args, '--state-dir', stateDir]);
  assert.equal((JSON.parse((await verb('status')).stdout) as { models: unknown[] }).models.length, 1);
  assert.deepEqual(JSON.parse((await verb('scale', 'm', '2')).stdout), { model: 'm', from: 1, to: 2 });
  const wrong = await verb('scale', 'm', 'many');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /replicas/);
  assert.equal((await verb('reload')).code, 0);
  assert.equal((await verb('stop')).code, 0);
  assert.equal((await exited).code, 0);
});

test('no gateway: exit 1, the socket named', async (t) => {
  const dir = await tempDir(t);
  const { code, stderr } = await runGateway(['status', '--state-dir', dir]);
  assert.equal(code, 1);
  assert.ok(stderr.includes(join(dir, 'admin.sock')));
});
