import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { GeneratorClient } from '../../bench/load/generator-client.ts';
import { Cleanup } from '../../bench/systems/cleanup.ts';
import { Launched, untilAnswering } from '../../bench/systems/process.ts';
import { startRelay } from '../../bench/systems/relay.ts';
import { startUpstream, upstreamPid } from '../../bench/systems/upstream.ts';

const { signal } = new AbortController();

async function bareRelay(t: TestContext): Promise<{ upstream: number; relay: number; generator: GeneratorClient }> {
  const cleanup = new Cleanup();
  t.after(() => cleanup.run());
  const upstream = await startUpstream(signal);
  cleanup.add(() => upstream.stop());
  const relay = await startRelay({ upstream, dir: '', signal, workers: 1 }, []);
  cleanup.add(() => relay.stop());
  const generator = await GeneratorClient.start(signal);
  cleanup.add(() => generator.stop());
  return { upstream: upstream.port, relay: relay.port, generator };
}

describe('upstream, bare relay and load generator', () => {
  test('requests of each size are answered', async (t) => {
    const { upstream, relay, generator } = await bareRelay(t);
    for (const port of [upstream, relay]) {
      for (const body of ['1k', '32k-one', '32k-many'] as const) {
        const { answered } = await generator.ask({ kind: 'closed-loop', port, body, connections: 4, durationMs: 30 }, 'requests');
        assert.ok(answered >= 4, `${answered} requests of ${body} answered`);
      }
    }
    const { ms } = await generator.ask({ kind: 'latency', ports: [upstream, relay], body: '1k', count: 5 }, 'latencies');
    assert.deepEqual(
      ms.map((row) => row.length),
      [5, 5],
    );
    assert.ok(ms.flat().every((each) => each > 0));
    const { ms: firsts } = await generator.ask({ kind: 'first-events', ports: [upstream, relay], count: 5 }, 'latencies');
    assert.deepEqual(
      firsts.map((row) => row.length),
      [5, 5],
    );
    assert.ok(firsts.flat().every((each) => each > 0));
  });

  test('a stream is relayed whole', async (t) => {
    const { relay } = await bareRelay(t);
    const order = { model: 'bench', messages: [], stream: true, max_tokens: 7, metadata: { interval_ms: '1' } };
    const response = await fetch(`http://127.0.0.1:${relay}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(order),
    });
    const events = (await response.text()).split('\n\n');
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.deepEqual([events.length, events.at(-2), events.at(-1)], [9, 'data: [DONE]', '']);
    assert.match(events[6] ?? '', /^data: \{"id":/);
  });

  test('streams stay open until they are closed, and one that fails is an error', async (t) => {
    const { relay, generator } = await bareRelay(t);
    const order = { chunks: 1_000_000, intervalMs: 0 };
    const opened = await generator.ask({ kind: 'open-streams', port: relay, streams: 20, order }, 'events');
    assert.equal(opened.events, 20);
    assert.equal((await generator.ask({ kind: 'close-streams' }, 'events')).events, 20);
    const short = generator.ask({ kind: 'open-streams', port: 1, streams: 2, order }, 'events');
    await assert.rejects(short, /2 requests failed in .*ECONNREFUSED/);
  });

  test('an aborted order rejects with the reason, and nothing is left running', async () => {
    const interrupted = new AbortController();
    const generator = await GeneratorClient.start(interrupted.signal);
    const upstream = await startUpstream(signal);
    const pid = await upstreamPid(upstream.port, signal);
    const asked = generator.ask({ kind: 'closed-loop', port: upstream.port, body: '1k', connections: 1, durationMs: 20_000 }, 'requests');
    interrupted.abort(new Error('stopped by the test'));
    await assert.rejects(asked, /stopped by the test/);
    await Promise.all([generator.stop(), upstream.stop()]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
});

test('a system that dies at start is reported with its last words', async () => {
  const dying = await Launched.start('engine', [process.execPath, '-e', 'console.error("out of track"); process.exit(3)'], { ipc: false });
  await assert.rejects(untilAnswering('http://127.0.0.1:1/health', dying, signal), /engine ended before it answered .*\nout of track/);
});

test('a process that ignores SIGTERM is killed', async () => {
  const script = 'process.on("SIGTERM", () => {}); process.send("ready"); setInterval(() => {}, 1000)';
  const stubborn = await Launched.start('engine', [process.execPath, '-e', script], { ipc: true });
  await new Promise((resolve) => stubborn.child.once('message', resolve));
  await stubborn.stop(50);
  assert.equal(stubborn.child.signalCode, 'SIGKILL');
});

test('clean-up takes every step, last opened first, even after a failure', async () => {
  const cleanup = new Cleanup();
  const taken: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    cleanup.add(async () => {
      taken.push(name);
      if (name === 'b') throw new Error('b is stuck');
    });
  }
  await assert.rejects(cleanup.run(), /b is stuck/);
  assert.deepEqual(taken, ['c', 'b', 'a']);
});
