import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeModel, type GatewayProcess, type ModelStatusReport, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';

const patienceMs = 30_000;

async function replicasOf(gateway: GatewayProcess, name: string): Promise<ModelStatusReport['replicas']> {
  return (await gateway.status()).find((model) => model.name === name)?.replicas ?? [];
}

async function untilReady(gateway: GatewayProcess, name: string, count: number, not: readonly number[] = []): Promise<readonly number[]> {
  let pids: readonly number[] = [];
  const ready = async (): Promise<boolean> => {
    const replicas = await replicasOf(gateway, name);
    pids = replicas.flatMap(({ state, pid }) => (state === 'ready' && pid !== undefined ? [pid] : []));
    return replicas.length === count && pids.length === count && !pids.some((pid) => not.includes(pid));
  };
  await until(`${count} replicas of ${name} are ready`, ready, patienceMs);
  return pids;
}

const restart = (gateway: GatewayProcess, ...args: readonly string[]): ReturnType<typeof runGateway> =>
  runGateway(['restart', ...args, '--state-dir', gateway.stateDir]);

test('a restart under load gives every replica of the model a new process, one at a time, and loses no request', async (t) => {
  const busy = fakeModel('busy', { tokens: 10, tokens_per_s: 50 }, { num_replicas: 3 });
  const gateway = await startGateway(t, [busy, fakeModel('other')]);
  const before = await untilReady(gateway, 'busy', 3);
  const others = await untilReady(gateway, 'other', 1);
  const done = new AbortController();
  let most = 0;
  let answers = 0;
  const client = async (): Promise<void> => {
    while (!done.signal.aborted) {
      const reply = await gateway.post({ model: 'busy', stream: true, messages: [{ role: 'user', content: 'hi' }] });
      assert.equal(reply.status, 200);
      assert.match(await reply.text(), /data: \[DONE\]\n\n$/u);
      answers += 1;
      const living = (await replicasOf(gateway, 'busy')).filter(({ state }) => ['ready', 'starting', 'pending'].includes(state));
      most = Math.max(most, living.length);
    }
  };
  const clients = Promise.all(Array.from({ length: 6 }, client));
  const { code, stdout } = await restart(gateway, 'busy');
  assert.equal(code, 0);
  assert.equal(stdout, [0, 1, 2].map((index) => `busy #${index}: a new one takes its place\n`).join(''));
  await untilReady(gateway, 'busy', 3, before);
  done.abort();
  await clients;
  assert.ok(answers > 6, 'requests went on meanwhile');
  assert.equal(most, 4, 'one beyond what is wanted, never more');
  assert.deepEqual(await untilReady(gateway, 'other', 1), others);
});

test('one replica is restarted alone, and what is not there is named', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m', {}, { num_replicas: 2 })]);
  const [first, second] = await untilReady(gateway, 'm', 2);
  assert.ok(first !== undefined && second !== undefined);
  const { code, stdout } = await restart(gateway, 'm#1', '--json');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { replicas: [{ model: 'm', index: 1, how: 'replaced' }] });
  const pids = await untilReady(gateway, 'm', 2, [second]);
  assert.ok(pids.includes(first));
  for (const target of ['m#7', 'n']) {
    const wrong = await restart(gateway, target);
    assert.equal(wrong.code, 1, target);
    assert.match(wrong.stderr, new RegExp(`no model or replica "${target}"`, 'u'));
  }
});

test('a replica that failed for good is tried again in its place', async (t) => {
  const flag = join(await tempDir(t), 'cured');
  const script = `test -e '${flag}' || { echo "fake: error: invalid argument: unknown option --foo"; exit 2; }; exec "$@"`;
  const command = ['/bin/sh', '-c', script, 'sh', process.execPath];
  const gateway = await startGateway(t, [fakeModel('sick', {}, {}, { command })], { until: /Listening at/u });
  await until('it has failed', async () => (await replicasOf(gateway, 'sick'))[0]?.state === 'failed', patienceMs);
  await writeFile(flag, '');
  const { code, stdout } = await restart(gateway);
  assert.equal(code, 0);
  assert.equal(stdout, 'sick #0: starts now\n');
  await untilReady(gateway, 'sick', 1);
  assert.equal((await replicasOf(gateway, 'sick'))[0]?.index, 0);
});
