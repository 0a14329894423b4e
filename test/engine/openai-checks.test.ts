import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway-process.ts';
import { quickstart, realEngine, realModel, skipReal } from '../support/quickstart.ts';
import { until } from '../support/until.ts';
import type { Target } from './openai-checks/check.ts';
import { checks, failing, inLines } from './openai-checks/failing.ts';

const model = 'smollm2-135m';
const key = 'checks-key-0123456789';

/** The engine by itself, with the same options that the gateway's has. */
async function bareEngine(t: TestContext): Promise<Target> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['-m', quickstart.model, '-a', model, '--host', '127.0.0.1', '--port', String(port), '--api-key', key];
  const child = spawn(quickstart.engine, [...args, '-t', '1', '-tb', '1', '-np', '4', '-c', '4096', '--no-ui'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const healthy = async (): Promise<boolean> => (await fetch(`${url}/health`).catch(() => undefined))?.status === 200;
  await until('the engine is up', healthy, 60_000);
  return { url, key, model };
}

describe('what a well-behaved server does', { skip: skipReal }, () => {
  test('llama-server by itself does not do all of it: what the gateway mends is seen to be wrong', async (t) => {
    const failed = await failing(await bareEngine(t));
    for (const [name, problem] of failed) t.diagnostic(`${name}: ${problem}`);
    t.diagnostic(`${failed.size} of ${checks.length} fail`);
    assert.ok(failed.size > 50, [...failed.keys()].join('\n'));
  });

  test('through the gateway it does all of it', async (t) => {
    const { url } = await startGateway(t, [realModel(1)], { more: { ...realEngine, keys: [{ name: 'checks', key }] } });
    const failed = await failing({ url, key, model });
    t.diagnostic(`${failed.size} of ${checks.length} fail`);
    assert.deepEqual([...failed.keys()], [], inLines(failed));
  });

  test('each check has a name of its own', () => {
    assert.equal(new Set(checks.map(({ name }) => name)).size, checks.length);
  });
});
