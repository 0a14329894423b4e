import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { slot } from '../../src/core/ids.ts';
import { chat, dataPlane, event, eventually, model, scriptedEngine } from '../support/data-plane.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly code: string };
}

const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};
const streamHead = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
};

describe('relay', () => {
  test('sends the body on byte for byte, with the replica key and never the client’s, and the reply back as it came', async (t) => {
    let authorization: string | undefined;
    const engine = await scriptedEngine(t, (request, response) => {
      authorization = request.headers.authorization;
      json(response, { id: 'x', text: 'ü' });
    });
    const gateway = await dataPlane(t, [engine]);
    const body = ` {"messages" : [],  "model":"${model}", "seed":1.0e2}`;
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer client-secret', 'x-request-id': 'my-id.1' },
      body,
    });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { id: 'x', text: 'ü' });
    assert.deepEqual(engine.bodies, [body]);
    assert.equal(authorization, 'Bearer key-0');
    assert.equal(response.headers.get('x-request-id'), 'my-id.1');
    assert.match(
      response.headers.get('server-timing') ?? '',
      /^queue;dur=0\.00, route;dur=\d+\.\d\d, cold;dur=0\.00, upstream;dur=\d+\.\d\d$/,
    );
    await eventually(() => gateway.inFlight(0) === 0, 'the place is free again');
  });

  test('an event reaches the client before the next one exists', async (t) => {
    const next = Promise.withResolvers<void>();
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.write(event({ n: 1 }));
      void next.promise.then(() => response.end(event('[DONE]')));
    });
    const gateway = await dataPlane(t, [engine]);
    const response = await gateway.post(chat({ stream: true }));
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const reader = (response.body ?? assert.fail('no body')).getReader();
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), event({ n: 1 }));
    assert.equal(gateway.inFlight(0), 1);
    next.resolve();
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), event('[DONE]'));
    assert.equal((await reader.read()).done, true);
    await eventually(() => gateway.inFlight(0) === 0, 'the place is free again');
  });

  test('an engine refusal keeps its status and message, in OpenAI’s shape', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) =>
      json(response, { error: { message: 'too long', type: 'invalid_request_error', code: 400 } }, 400),
    );
    const gateway = await dataPlane(t, [engine]);
    const response = await gateway.post(chat());
    assert.equal(response.status, 400);
    const { error } = (await response.json()) as ErrorBody;
    assert.equal(error.message, 'too long');
    assert.equal(typeof error.code, 'string');
    assert.equal(engine.bodies.length, 1);
  });

  test('a client that reads slowly holds the engine back, and everything arrives', async (t) => {
    const total = 64;
    const piece = 'x'.repeat(256 * 1024);
    let written = 0;
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      const more = (): void => {
        while (written < total) {
          written += 1;
          if (!response.write(event(piece))) {
            response.once('drain', more);
            return;
          }
        }
        response.end(event('[DONE]'));
      };
      more();
    });
    const gateway = await dataPlane(t, [engine]);
    const response = await gateway.post(chat({ stream: true }));
    await eventually(() => written > 0, 'the engine began');
    // Nobody reads: what the engine could write is what sockets and one chunk hold, far from all of it.
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(written < total, `${written} of ${total} pieces left the engine`);
    const received = await response.text();
    assert.equal(received.length, total * event(piece).length + event('[DONE]').length);
  });
});

describe('the client leaves', () => {
  const leaveAfter: readonly [name: string, answer: (response: ServerResponse) => void, firstByte: boolean][] = [
    ['before the first byte', () => undefined, false],
    ['after the head of a stream', streamHead, false],
    [
      'in the middle of a stream',
      (response) => {
        streamHead(response);
        response.write(event({ n: 1 }));
      },
      true,
    ],
  ];
  for (const [name, answer, firstByte] of leaveAfter) {
    test(`${name}: the engine feels it, and nothing is held`, async (t) => {
      const engine = await scriptedEngine(t, (_request, response) => answer(response));
      const gateway = await dataPlane(t, [engine]);
      const client = new AbortController();
      const reply = gateway.post(chat({ stream: true }), client.signal);
      const outcome = reply.then(
        () => 'answered',
        () => 'cut',
      );
      if (firstByte) await (await reply).body?.getReader().read();
      else await eventually(() => engine.open() === 1, 'the engine has the request');
      client.abort();
      await engine.aborted(0);
      assert.equal(await outcome, firstByte ? 'answered' : 'cut');
      await eventually(() => gateway.inFlight(0) === 0 && gateway.live.size === 0, 'nothing is held');
    });
  }

  test('while it waits: it is out of the room, and no engine ever sees it', async (t) => {
    const gateway = await dataPlane(t, []);
    const client = new AbortController();
    const rejected = assert.rejects(gateway.post(chat(), client.signal));
    await eventually(() => gateway.waiting() === 1, 'it waits');
    client.abort();
    await rejected;
    await eventually(() => gateway.waiting() === 0 && gateway.live.size === 0, 'it has left');
    const engine = await scriptedEngine(t, (_request, response) => json(response, {}));
    gateway.setReplicas([engine]);
    assert.equal(engine.bodies.length, 0);
  });
});

describe('an engine fails', () => {
  const failures: readonly [name: string, fail: (response: ServerResponse) => void][] = [
    ['the connection is reset before any byte', (response) => response.destroy()],
    [
      'a stream is cut after its head',
      (response) => {
        streamHead(response);
        response.flushHeaders();
        response.destroy();
      },
    ],
    ['it answers 503', (response) => json(response, { error: { message: 'busy' } }, 503)],
  ];
  for (const [name, fail] of failures) {
    test(`${name}: another replica answers`, async (t) => {
      const bad = await scriptedEngine(t, (_request, response) => fail(response));
      const good = await scriptedEngine(t, (_request, response) => json(response, { ok: true }));
      const gateway = await dataPlane(t, [bad, good]);
      for (let turn = 0; turn < 4; turn += 1) {
        const response = await gateway.post(chat({ stream: true }));
        assert.equal(response.status, 200);
        assert.deepEqual(await response.json(), { ok: true });
      }
      assert.ok(bad.bodies.length > 0, 'the bad one was tried');
      await eventually(() => gateway.inFlight(0) + gateway.inFlight(1) === 0, 'the places are free again');
    });
  }

  test('a 500 that means, in this engine’s words, that it has died: another replica answers', async (t) => {
    const message = 'EngineCore encountered an issue. See stack trace (above) for the root cause.';
    const bad = await scriptedEngine(t, (_request, response) => json(response, { error: { message, code: 500 } }, 500));
    const good = await scriptedEngine(t, (_request, response) => json(response, { ok: true }));
    const gateway = await dataPlane(t, [bad, good], { engine: 'vllm' });
    const statuses = [];
    for (let turn = 0; turn < 4; turn += 1) statuses.push((await gateway.post(chat())).status);
    assert.deepEqual(statuses, [200, 200, 200, 200]);
    assert.ok(bad.bodies.length > 0, 'the bad one was tried');
  });

  test('a request that kills every engine it meets is given up after three', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => response.destroy());
    const gateway = await dataPlane(t, [engine]);
    const response = await gateway.post(chat());
    assert.equal(response.status, 502);
    assert.equal(((await response.json()) as ErrorBody).error.code, 'upstream_failed');
    assert.equal(engine.bodies.length, 3);
  });

  test('while the others are full the request waits for them, and meets what failed it again only after a second', async (t) => {
    const clock = new ManualClock();
    let ill = true;
    const failing = await scriptedEngine(t, (_request, response) => (ill ? response.destroy() : json(response, { by: 'the failing one' })));
    const held: ServerResponse[] = [];
    const full = await scriptedEngine(t, (_request, response) => held.push(response));
    const gateway = await dataPlane(t, [{ url: full.url, maxInFlight: 1 }], { clock });
    const first = gateway.post(chat());
    await eventually(() => held.length === 1, 'the good one is full');
    gateway.setReplicas([{ url: full.url, maxInFlight: 1 }, failing]);
    const saved = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'the request waits');
    const second = gateway.post(chat());
    await eventually(() => gateway.waiting() === 2, 'another one too');
    json(held.shift() ?? assert.fail(), { by: 'the good one' });
    await eventually(() => held.length === 1, 'the place goes to the first of them');
    json(held.shift() ?? assert.fail(), { by: 'the good one' });
    assert.deepEqual(await (await saved).json(), { by: 'the good one' });
    await eventually(() => held.length === 1, 'then to the other');
    assert.equal(failing.bodies.length, 2, 'each met it once');
    ill = false;
    const third = gateway.post(chat());
    assert.deepEqual(await (await third).json(), { by: 'the failing one' }, 'one that it has not failed may go there at any time');
    ill = true;
    const fourth = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'it waits');
    ill = false;
    await clock.advance(1000);
    assert.deepEqual(await (await fourth).json(), { by: 'the failing one' });
    json(held.shift() ?? assert.fail(), { by: 'the good one' });
    await Promise.all([first, second]);
    await eventually(() => gateway.inFlight(0) + gateway.inFlight(1) + gateway.waiting() === 0, 'the counters are back at zero');
    assert.equal(clock.pending, 0, 'no timer is left');
  });

  test('when every replica fails, retries stay within their budget', async (t) => {
    const held: ServerResponse[] = [];
    const engine = await scriptedEngine(t, (_request, response) => held.push(response));
    const replica = { url: engine.url, maxInFlight: 100 };
    const gateway = await dataPlane(t, [replica, replica]);
    const replies = Array.from({ length: 10 }, () => gateway.post(chat()));
    await eventually(() => held.length === 10, 'all are sent');
    for (const response of held.splice(0)) response.destroy();
    // Ten fail at once: three are tried again at a time, and none is lost.
    await eventually(() => held.length === 3, 'three are tried again');
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([held.length, gateway.live.size], [3, 10]);
    for (let served = 0; served < 10; served += 1) {
      await eventually(() => held.length > 0, `retry ${served} is sent`, 2_000_000);
      json(held.shift() ?? assert.fail(), { ok: true });
    }
    for (const reply of replies) assert.equal((await reply).status, 200);
  });

  test('the only replica that could take it is not asked again at once, for it may be dying', async (t) => {
    const clock = new ManualClock();
    const dying = await scriptedEngine(t, (_request, response) => json(response, { error: { message: 'stopping' } }, 503));
    const gateway = await dataPlane(t, [dying], { clock });
    const reply = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'it waits');
    await clock.advance(900);
    assert.equal(dying.bodies.length, 1);
    const fresh = await scriptedEngine(t, (_request, response) => json(response, { ok: true }));
    gateway.setReplicas([dying, fresh]);
    assert.equal((await reply).status, 200);
    assert.deepEqual([dying.bodies.length, fresh.bodies.length, clock.pending], [1, 1, 0]);
  });

  test('a stream that began ends with an error event and no [DONE], and half an event is not given out', async (t) => {
    const read = Promise.withResolvers<void>();
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.write(`${event({ n: 1 })}data: {"n`);
      void read.promise.then(() => response.destroy());
    });
    const other = await scriptedEngine(t, (_request, response) => json(response, {}));
    const gateway = await dataPlane(t, [engine]);
    const response = await gateway.post(chat({ stream: true }));
    gateway.setReplicas([engine, other]);
    read.resolve();
    const events = (await response.text()).split('\n\n');
    assert.equal(events[0], 'data: {"n":1}');
    const { error } = JSON.parse((events[1] ?? '').slice('data: '.length)) as ErrorBody;
    assert.deepEqual([error.code, error.type], ['upstream_failed', 'server_error']);
    assert.equal(events.length, 3);
    assert.equal(other.bodies.length, 0);
  });

  test('a stream that ends without [DONE] is reported, not completed', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.end(event({ n: 1 }));
    });
    const gateway = await dataPlane(t, [engine]);
    const received = await (await gateway.post(chat({ stream: true }))).text();
    assert.match(received, /"code":"upstream_failed"/);
    assert.doesNotMatch(received, /DONE/);
  });

  test('a reply with a length that breaks is cut, not completed', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
      response.write('{"a":');
      setImmediate(() => response.destroy());
    });
    const gateway = await dataPlane(t, [engine]);
    await assert.rejects(gateway.post(chat()).then((response) => response.text()));
    await eventually(() => gateway.inFlight(0) === 0 && gateway.live.size === 0, 'nothing is held');
  });

  test('nobody listens: the request waits until the table names a replica that does', async (t) => {
    const gone = await scriptedEngine(t, () => undefined);
    await gone.close();
    const gateway = await dataPlane(t, [gone]);
    const reply = gateway.post(chat());
    const engine = await scriptedEngine(t, (_request, response) => json(response, { ok: true }));
    await eventually(() => gateway.live.size === 1, 'the request is there');
    gateway.setReplicas([]);
    await eventually(() => gateway.waiting() === 1, 'it waits', 200_000);
    gateway.setReplicas([engine]);
    assert.deepEqual(await (await reply).json(), { ok: true });
  });
});

describe('waiting', () => {
  test('a full replica serves the waiting in order as places become free', async (t) => {
    const responses: ServerResponse[] = [];
    const engine = await scriptedEngine(t, (_request, response) => responses.push(response));
    const gateway = await dataPlane(t, [{ url: engine.url, maxInFlight: 1 }]);
    const replies = [];
    for (let index = 0; index < 3; index += 1) {
      replies.push(gateway.post(chat({ user: String(index) })));
      await eventually(() => gateway.live.size === index + 1, `request ${index} is there`);
    }
    assert.deepEqual([gateway.inFlight(0), gateway.waiting()], [1, 2]);
    for (let index = 0; index < 3; index += 1) {
      await eventually(() => responses.length === index + 1, `request ${index} is sent`);
      json(responses[index] ?? assert.fail(), { index });
      assert.deepEqual(await (await (replies[index] ?? assert.fail())).json(), { index });
    }
    assert.deepEqual(
      engine.bodies.map((body) => (JSON.parse(body) as { user: string }).user),
      ['0', '1', '2'],
    );
    await eventually(() => gateway.inFlight(0) + gateway.waiting() === 0, 'the counters are back at zero');
  });

  test('over the limit: 429 with Retry-After', async (t) => {
    const gateway = await dataPlane(t, [], { limits: { maxWaiting: 1 } });
    const client = new AbortController();
    const rejected = assert.rejects(gateway.post(chat(), client.signal));
    await eventually(() => gateway.waiting() === 1, 'one waits');
    const response = await gateway.post(chat());
    assert.equal(response.status, 429);
    assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
    assert.equal(response.headers.get('x-should-retry'), 'true');
    assert.equal(((await response.json()) as ErrorBody).error.code, 'overloaded');
    client.abort();
    await rejected;
  });

  test('those that wait in other workers count too', async (t) => {
    const held: ServerResponse[] = [];
    const engine = await scriptedEngine(t, (_request, response) => held.push(response));
    const gateway = await dataPlane(t, [{ url: engine.url, maxInFlight: 1 }], { limits: { maxWaiting: 2 } });
    const first = gateway.post(chat());
    await eventually(() => held.length === 1, 'the replica is full');
    const waits = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'one waits here');
    gateway.board.add(0, slot(0), 1);
    assert.equal((await gateway.post(chat())).status, 429);
    gateway.board.add(0, slot(0), -1);
    const next = gateway.post(chat());
    await eventually(() => gateway.waiting() === 2, 'the place is free again');
    for (const reply of [first, waits, next]) {
      await eventually(() => held.length > 0, 'its turn has come');
      json(held.shift() ?? assert.fail(), {});
      assert.equal((await reply).status, 200);
    }
  });

  test('past its time: 503 that says what the model is doing and why', async (t) => {
    const clock = new ManualClock();
    const gateway = await dataPlane(t, [], { clock, limits: { queueTimeoutMs: 5000 } });
    gateway.setReplicas([], {
      phase: 'backing off',
      etaMs: 9000,
      error: { code: 'engine_exited', message: 'exit code 1: no such file', permanent: false },
    });
    const reply = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'it waits');
    await clock.advance(5000);
    const response = await reply;
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '4', 'five of the nine seconds have gone by');
    assert.equal(response.headers.get('retry-after-ms'), '4000');
    const { error } = (await response.json()) as ErrorBody;
    assert.equal(error.code, 'wait_timeout');
    assert.match(error.message, /within 5 s \(state: backing off\)\. Last failure: exit code 1: no such file/);
    assert.equal(clock.pending, 0);
  });

  test('a model that cannot start answers at once with the cause', async (t) => {
    const gateway = await dataPlane(t, []);
    const waiting = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'one waits already');
    gateway.setReplicas([], { phase: 'failed', error: { code: 'engine_missing', message: 'no such program: x', permanent: true } });
    for (const response of [await waiting, await gateway.post(chat())]) {
      assert.equal(response.status, 503);
      const { error } = (await response.json()) as ErrorBody;
      assert.equal(error.code, 'start_failed');
      assert.match(error.message, /no such program: x/);
    }
  });
});

describe('silence', () => {
  test('before the first byte: 504 after first_byte_timeout', async (t) => {
    const clock = new ManualClock();
    const engine = await scriptedEngine(t, (_request, response) => streamHead(response));
    const gateway = await dataPlane(t, [engine], { clock, limits: { firstByteTimeoutMs: 10_000, idleTimeoutMs: 1000 } });
    const reply = gateway.post(chat({ stream: true }));
    await eventually(() => engine.open() === 1, 'the engine has it');
    const check = (): void => gateway.live.snapshot().forEach((exchange) => exchange.check(clock.now()));
    await clock.advance(9999);
    check();
    assert.equal(gateway.live.size, 1);
    await clock.advance(1);
    check();
    const response = await reply;
    assert.equal(response.status, 504);
    assert.match(((await response.json()) as ErrorBody).error.message, /nothing for 10 s \(gateway\.timeouts\.first_byte_s\)/);
    await engine.aborted(0);
  });

  test('in a stream: an error event after idle_timeout', async (t) => {
    const clock = new ManualClock();
    const engine = await scriptedEngine(t, (_request, response) => {
      streamHead(response);
      response.write(event({ n: 1 }));
    });
    const gateway = await dataPlane(t, [engine], { clock, limits: { firstByteTimeoutMs: 10_000, idleTimeoutMs: 1000 } });
    const response = await gateway.post(chat({ stream: true }));
    await clock.advance(1000);
    gateway.live.snapshot().forEach((exchange) => exchange.check(clock.now()));
    assert.match(await response.text(), /"code":"upstream_timeout"/);
    await engine.aborted(0);
  });
});

const tick = (gateway: { live: { snapshot(): readonly { check(now: number): void }[] } }, now: number): void =>
  gateway.live.snapshot().forEach((exchange) => exchange.check(now));

describe('a silent stream', () => {
  test('gets a comment every ten seconds while it waits, with the state and the estimate, then the engine’s events', async (t) => {
    const clock = new ManualClock();
    const gateway = await dataPlane(t, [], { clock });
    gateway.setReplicas([], { phase: 'loading model', etaMs: 41_000 });
    const reply = gateway.post(chat({ stream: true }));
    await eventually(() => gateway.waiting() === 1, 'it waits');
    await clock.advance(10_000);
    tick(gateway, clock.now());
    const response = await reply;
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    const reader = (response.body ?? assert.fail()).getReader();
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), ': waiting for a replica (loading model, about 31 s)\n\n');
    const engine = await scriptedEngine(t, (_request, out) => {
      streamHead(out);
      out.end(event({ n: 1 }) + event('[DONE]'));
    });
    gateway.setReplicas([engine]);
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
    assert.equal(rest, event({ n: 1 }) + event('[DONE]'));
  });

  test('an engine that refuses after a heartbeat is an error event, one that dies is replaced', async (t) => {
    for (const refuse of [true, false]) {
      const clock = new ManualClock();
      const first = Promise.withResolvers<ServerResponse>();
      const engine = await scriptedEngine(t, (_request, out) => first.resolve(out));
      const other = await scriptedEngine(t, (_request, out) => {
        streamHead(out);
        out.end(event('[DONE]'));
      });
      const gateway = await dataPlane(t, [engine], { clock });
      const reply = gateway.post(chat({ stream: true }));
      const out = await first.promise;
      await clock.advance(10_000);
      tick(gateway, clock.now());
      gateway.setReplicas([engine, other]);
      const response = await reply;
      if (refuse) json(out, { error: { message: 'no', type: 'invalid_request_error', code: 400 } }, 400);
      else out.destroy();
      const received = await response.text();
      assert.ok(received.startsWith(': working\n\n'), received);
      if (refuse) assert.match(received, /data: \{"error":\{"message":"no"/);
      else assert.ok(received.endsWith(event('[DONE]')), received);
    }
  });

  test('a request that is no stream gets no comment', async (t) => {
    const clock = new ManualClock();
    const gateway = await dataPlane(t, [], { clock, limits: { queueTimeoutMs: 30_000 } });
    const reply = gateway.post(chat());
    await eventually(() => gateway.waiting() === 1, 'it waits');
    await clock.advance(20_000);
    tick(gateway, clock.now());
    await clock.advance(10_000);
    assert.equal((await reply).status, 503);
  });

  test('gets its comments, and loses a client that reads nothing, after the times that the config sets', async (t) => {
    const clock = new ManualClock();
    const gateway = await dataPlane(t, [], { clock, client: { heartbeatMs: 3000, writeStallMs: 5000 } });
    const waiting = gateway.post(chat({ stream: true }));
    await eventually(() => gateway.waiting() === 1, 'it waits');
    await clock.advance(3000);
    tick(gateway, clock.now());
    const reader = ((await waiting).body ?? assert.fail()).getReader();
    assert.match(Buffer.from((await reader.read()).value ?? []).toString(), /^: waiting for a replica/);
    await reader.cancel();
    await eventually(() => gateway.live.size === 0, 'it has left');
    const engine = await scriptedEngine(t, (_request, out) => {
      streamHead(out);
      for (let part = 0; part < 2; part += 1) out.write(event('x'.repeat((16 * 1024 * 1024) / 4)));
    });
    gateway.setReplicas([engine]);
    const unread = await gateway.post(chat({ stream: true }));
    await clock.advance(4999);
    tick(gateway, clock.now());
    assert.equal(gateway.live.size, 1);
    await clock.advance(5000);
    tick(gateway, clock.now());
    await engine.aborted(0);
    assert.equal(gateway.live.size, 0);
    await assert.rejects(unread.text());
  });

  test('a client that reads nothing for a minute is cut off, and the engine is free', async (t) => {
    const clock = new ManualClock();
    const engine = await scriptedEngine(t, (_request, out) => {
      streamHead(out);
      out.write(event('x'.repeat((16 * 1024 * 1024) / 4)));
      out.write(event('x'.repeat((16 * 1024 * 1024) / 4)));
    });
    const gateway = await dataPlane(t, [engine], { clock });
    const response = await gateway.post(chat({ stream: true }));
    assert.equal(response.status, 200);
    await clock.advance(59_999);
    tick(gateway, clock.now());
    assert.equal(gateway.live.size, 1);
    await clock.advance(60_000);
    tick(gateway, clock.now());
    await engine.aborted(0);
    assert.equal(gateway.live.size, 0);
    await assert.rejects(response.text());
  });
});

describe('what engines forget or say in a stream', () => {
  const outcomes: readonly [name: string, events: string, received: string, outcome: string][] = [
    [
      'a missing [DONE] after a finish_reason is added',
      event({ choices: [{ delta: {}, finish_reason: 'stop' }] }),
      event({ choices: [{ delta: {}, finish_reason: 'stop' }] }) + event('[DONE]'),
      'ok',
    ],
    [
      'an error event ends it in OpenAI’s shape and is counted as the engine’s',
      event({ n: 1 }) + event({ error: { message: 'oops', code: 503 } }) + event('[DONE]'),
      event({ n: 1 }) + event({ error: { message: 'oops', type: 'server_error', param: null, code: 'engine_error' } }),
      'engine_error',
    ],
    [
      'words like these in a text are no error',
      event({ choices: [{ delta: { content: '\ndata: {"error": "finish_reason":"stop"' } }] }) + event('[DONE]'),
      event({ choices: [{ delta: { content: '\ndata: {"error": "finish_reason":"stop"' } }] }) + event('[DONE]'),
      'ok',
    ],
  ];
  for (const [name, events, received, outcome] of outcomes) {
    test(name, async (t) => {
      const engine = await scriptedEngine(t, (_request, response) => {
        streamHead(response);
        response.end(events);
      });
      const gateway = await dataPlane(t, [engine]);
      assert.equal(await (await gateway.post(chat({ stream: true }))).text(), received);
      await eventually(() => gateway.live.size === 0, 'it has ended');
      assert.match(JSON.stringify(await gateway.metrics.snapshot()), new RegExp(`"outcome":"${outcome}"`));
    });
  }
});
