import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchFake, startFake } from '../../support/fake-engine.ts';
import type { FakeEngine } from '../../support/fake-engine.ts';
import { eventData } from '../../support/sse.ts';
import { until } from '../../support/until.ts';

const complete = (engine: FakeEngine, rest: object = {}): Promise<Response> =>
  engine.fetch('/v1/completions', { method: 'POST', body: JSON.stringify({ prompt: 'a b c', ...rest }) });

/** Runs the engine by hand, to its end. */
async function run(flags: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  const script = fileURLToPath(new URL('../../../src/plugins/fake/engine.ts', import.meta.url));
  const child = spawn(process.execPath, [script, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

/** False for a zombie, which is dead but not yet collected. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '(gone) Z');
  return !/\) Z/u.test(stat);
}

test('it ends at boot with the given words and exit code', async (t) => {
  const { log, exited } = launchFake({ boot_error: 'torch.OutOfMemoryError: CUDA out of memory.', exit_code: 7 }, t);
  await log.line(/CUDA out of memory/u);
  assert.deepEqual(await exited, { code: 7, signal: null });
});

test('it ends at boot without a word', async (t) => {
  const { exited } = launchFake({ exit_at: 'boot' }, t);
  assert.deepEqual(await exited, { code: 1, signal: null });
});

test('it ends after the given seconds, with 0 too', async (t) => {
  const { log, exited } = launchFake({ exit_at: 0.05, exit_code: 0 }, t);
  await log.line(/loading model/u);
  assert.deepEqual(await exited, { code: 0, signal: null });
});

for (const [flag, words] of [
  ['--prefill-s=soon', /^fake: error: invalid argument: prefill_s: got "soon", expected a number from 0/u],
  ['--no-such-thing', /^fake: error: invalid argument: .*no-such-thing/u],
  ['--port=99999', /^fake: error: invalid argument: port: got "99999"/u],
] as const) {
  test(`it ends with code 2 and a sentence when it is started with ${flag}`, async () => {
    const { code, text } = await run([flag]);
    assert.equal(code, 2);
    assert.match(text, words);
  });
}

test('it listens late, loads long, and says so meanwhile', async (t) => {
  const engine = await startFake({ listen_after_s: 0.05, ready_after_s: 3600, log: ['hello', '[not json'] }, t, 'listening');
  assert.deepEqual(
    engine.log.slice(0, 5).map((line) => line.replace(/pid \d+|http.*$/u, '…')),
    ['fake: starting, …', 'hello', '[not json', "fake: loading model 'fake-model'", 'fake: listening on …'],
  );
  assert.equal((await fetch(`${engine.url}/health`)).status, 503);
  assert.equal((await engine.fetch('/v1/models')).status, 503);
  assert.equal((await complete(engine)).status, 503);
  assert.equal((await engine.state()).ready, false);
});

test('it says which port is taken', async (t) => {
  const engine = await startFake({}, t);
  const port = new URL(engine.url).port;
  const { code, text } = await run(['--port', port]);
  assert.equal(code, 1);
  assert.match(text, new RegExp(`fake: error: .*address already in use 127.0.0.1:${port}`, 'u'));
});

test('it dies on the request after the given number, before a byte of the reply', async (t) => {
  const engine = await startFake({ exit_after_requests: 1, exit_code: 3 }, t);
  assert.equal((await complete(engine)).status, 200);
  await assert.rejects(complete(engine));
  assert.deepEqual(await engine.exited, { code: 3, signal: null });
});

test('it dies in the middle of a stream', async (t) => {
  const engine = await startFake({ exit_after_tokens: 2, tokens_per_s: 50 }, t);
  const response = await complete(engine, { stream: true });
  await assert.rejects(response.text());
  assert.deepEqual(await engine.exited, { code: 1, signal: null });
});

test('SIGTERM lets a stream finish and refuses new connections', async (t) => {
  const engine = await startFake({ tokens: 20, tokens_per_s: 100 }, t);
  const response = await complete(engine, { stream: true });
  process.kill(engine.pid, 'SIGTERM');
  await engine.line(/^fake: stopping, 1 requests/u);
  await assert.rejects(fetch(`${engine.url}/health`, { headers: { connection: 'close' } }));
  assert.equal(eventData(await response.text()).at(-1), '[DONE]');
  assert.deepEqual(await engine.exited, { code: 0, signal: null });
});

test('SIGTERM ends an idle engine at once, a second one a busy engine', async (t) => {
  const idle = await startFake({}, t);
  process.kill(idle.pid, 'SIGTERM');
  assert.deepEqual(await idle.exited, { code: 0, signal: null });
  const busy = await startFake({ prefill_s: 3600 }, t);
  const request = assert.rejects(complete(busy));
  await until('it is busy', async () => (await busy.state()).open === 1);
  process.kill(busy.pid, 'SIGTERM');
  await busy.line(/^fake: stopping/u);
  process.kill(busy.pid, 'SIGTERM');
  assert.deepEqual(await busy.exited, { code: 1, signal: null });
  await request;
});

test('with ignore_sigterm it goes on', async (t) => {
  const engine = await startFake({ ignore_sigterm: true }, t);
  process.kill(engine.pid, 'SIGTERM');
  await engine.line(/^fake: ignoring the signal/u);
  assert.equal((await complete(engine)).status, 200);
});

test('its workers share its group; it hangs when one dies, and takes them along when it stops', async (t) => {
  const engine = await startFake({ fork: 2, health: 'lie' }, t);
  const { workers } = await engine.state();
  assert.equal(workers.length, 2);
  const [first, second] = workers;
  assert.ok(first !== undefined && second !== undefined);
  process.kill(first, 'SIGKILL');
  await until('it hangs', async () => (await engine.state()).hung);
  assert.equal((await fetch(`${engine.url}/health`)).status, 200);
  assert.equal(await isAlive(second), true);
  process.kill(engine.pid, 'SIGTERM');
  await engine.exited;
  await until('the other is gone too', async () => !(await isAlive(second)));
});

test('its workers outlive it when only it is killed', async (t) => {
  const engine = await startFake({ fork: 1 }, t);
  const [worker] = (await engine.state()).workers;
  assert.ok(worker !== undefined);
  process.kill(engine.pid, 'SIGKILL');
  await engine.exited;
  assert.equal(await isAlive(worker), true);
  process.kill(-engine.pid, 'SIGKILL');
  await until('the group is gone', async () => !(await isAlive(worker)));
});

test('its daemon is out of reach of a signal to its group', async (t) => {
  const engine = await startFake({ daemonise: true }, t);
  const { daemon } = await engine.state();
  assert.ok(daemon !== null);
  t.after(() => process.kill(daemon, 'SIGKILL'));
  await engine.stop();
  assert.equal(await isAlive(daemon), true);
});

test('it floods its log with what is no text', async (t) => {
  const { child, log } = launchFake({ log_flood_mb_s: 20 }, t);
  await log.line(/loading model/u);
  const { stdout } = child;
  assert.ok(stdout !== null);
  let flooded = Buffer.alloc(0);
  // What it says of its start may come in between: a line of this length has no end at all.
  while (flooded.length < 300_000) {
    flooded = Buffer.concat([flooded, ((await once(stdout, 'data')) as [Buffer])[0]]);
    flooded = flooded.subarray(flooded.lastIndexOf(0x0a) + 1);
  }
  const junk = flooded;
  assert.ok(junk.includes('\u001B[31m'));
  assert.throws(() => new TextDecoder('utf-8', { fatal: true }).decode(junk));
});
