import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitsFor } from '../../src/cli/stop.ts';
import { isOwner } from '../../src/supervisor/state-dir.ts';
import { fakeModel, type GatewayProcess, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

const stop = (gateway: GatewayProcess, ...args: readonly string[]): ReturnType<typeof runGateway> =>
  runGateway(['stop', '--state-dir', gateway.stateDir, ...args]);

const models = (waiting: number, ...inFlight: readonly number[]): never =>
  [{ waiting, replicas: inFlight.map((count) => ({ inFlight: count })) }] as never;

/** A stream of the model `m` that has begun; resolves with what is left of it, or `broken`. */
async function beginStream(gateway: GatewayProcess): Promise<() => Promise<string>> {
  const reply = await gateway.post({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] });
  assert.equal(reply.status, 200);
  const rest = reply.text().catch(() => 'broken');
  return () => rest;
}

test('stop returns once the gateway and its engines are gone, and the requests have ended', async (t) => {
  // Long enough for the command to start on a busy machine while the stream still runs.
  const gateway = await startGateway(t, [fakeModel('m', { tokens: 160, tokens_per_s: 20 })]);
  const rest = await beginStream(gateway);
  const { code, stdout, stderr } = await stop(gateway);
  assert.equal(code, 0);
  assert.equal(isOwner(gateway.stateDir, gateway.pid), false);
  assert.deepEqual(await gateway.engines(), []);
  assert.match(await rest(), /data: \[DONE\]\n\n$/u);
  assert.equal(stdout, `The gateway with pid ${gateway.pid} has stopped.\n`);
  assert.match(stderr, /Waiting for 1 request to end\./u);
  assert.equal((await gateway.exited).code, 0);
});

test('stop --drain waits no longer for requests than told', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m', { tokens: 6000, tokens_per_s: 20 })]);
  const rest = await beginStream(gateway);
  const { code } = await stop(gateway, '--drain', '0.2');
  assert.equal(code, 0);
  const text = await rest();
  assert.match(text, /"error"/u);
  assert.doesNotMatch(text, /\[DONE\]/u);
  assert.match(gateway.output(), /at most 0\.2 s/u);
  assert.equal((await gateway.exited).code, 0);
});

test('stop --now cuts off a stop that waits', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m', { tokens: 6000, tokens_per_s: 20 })]);
  const rest = await beginStream(gateway);
  const patient = stop(gateway);
  await gateway.printed(/Waiting for 1 request/u);
  assert.equal((await stop(gateway, '--now', '--quiet')).code, 0);
  assert.equal((await patient).code, 0);
  assert.doesNotMatch(await rest(), /\[DONE\]/u);
  assert.deepEqual(await gateway.engines(), []);
  assert.equal((await gateway.exited).code, 143, 'as after a second SIGTERM');
});

test('stop says what is wrong with how it was asked', async (t) => {
  const dir = await tempDir(t);
  const cases = [
    [['--now', '--drain', '3'], 2, /--now and --drain/u],
    [['--drain', 'soon'], 2, /seconds/u],
    [[], 1, /No gateway answers/u],
  ] as const;
  for (const [args, expected, words] of cases) {
    const { code, stderr } = await runGateway(['stop', '--state-dir', dir, ...args]);
    assert.equal(code, expected, args.join(' '));
    assert.match(stderr, words);
  }
});

test('what a stop waits for, in words', () => {
  assert.equal(waitsFor(undefined), undefined);
  assert.equal(waitsFor({ models: models(0) }), undefined);
  assert.equal(waitsFor({ models: models(1, 2, 0) }), 'Waiting for 3 requests to end.');
  assert.equal(waitsFor({ models: models(0, 0, 0) }), 'Waiting for 2 engines to end.');
});
