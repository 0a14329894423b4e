import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { chatBody, readStreamOrder, streamBody, textOf } from '../../bench/load/bodies.ts';
import { EventCounter } from '../../bench/load/stream-set.ts';
import { rotated } from '../../bench/scenarios.ts';
import { StreamWheel } from '../../bench/stream-wheel.ts';

describe('bodies', () => {
  for (const [name, bytes, messages] of [
    ['1k', 1024, 2],
    ['32k-one', 32_768, 1],
    ['32k-many', 32_768, 60],
  ] as const) {
    test(`${name}: ${messages} messages in exactly ${bytes} bytes`, () => {
      const body = chatBody(name);
      const parsed = JSON.parse(body.toString()) as { model: string; messages: { role: string; content: string }[] };
      assert.equal(body.length, bytes);
      assert.equal(parsed.model, 'bench');
      assert.equal(parsed.messages.length, messages);
      assert.equal(parsed.messages.at(-1)?.role, 'user');
      assert.ok(parsed.messages.every((message) => message.content.length > 100));
      assert.equal(readStreamOrder(body.subarray(-256).toString()), undefined);
    });
  }

  test('text takes the room it is given', () => {
    fc.assert(fc.property(fc.nat(3000), (bytes) => Buffer.byteLength(JSON.stringify(textOf(bytes))) === bytes + 2));
  });

  test('the upstream reads the order off the end of a streaming body', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(1000), (chunks, intervalMs) => {
        const body = streamBody({ chunks, intervalMs });
        assert.deepEqual(readStreamOrder(body.subarray(-256).toString()), { chunks, intervalMs });
      }),
    );
  });
});

test('events are counted wherever the bytes are cut', () => {
  const body = Buffer.from('data: {"a":1}\n\ndata: {"b":"\\n\\n"}\n\n: ping\n\ndata: [DONE]\n\n');
  fc.assert(
    fc.property(fc.array(fc.nat(body.length), { maxLength: 10 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), body.length];
      const counter = new EventCounter();
      for (const [index, end] of at.slice(1).entries()) counter.push(body.subarray(at[index], end));
      assert.equal(counter.events, 4);
    }),
  );
});

const counted = (intervalMs: number, chunks = Infinity) => {
  const stream = {
    ticks: 0,
    intervalMs,
    tick: () => {
      stream.ticks += 1;
      return stream.ticks < chunks;
    },
  };
  return stream;
};

describe('StreamWheel', () => {
  test('ticks every stream once an interval, however late it is turned', () => {
    const wheel = new StreamWheel();
    const streams = Array.from({ length: 50 }, () => counted(20));
    for (const stream of streams) wheel.add(stream, 1000);
    for (const now of [1001, 1019.9, 1100, 1101, 1200]) wheel.turn(now);
    assert.deepEqual(new Set(streams.map((stream) => stream.ticks)), new Set([10]));
  });

  test('spreads streams that begin together over the interval', () => {
    const wheel = new StreamWheel();
    const streams = Array.from({ length: 100 }, () => counted(20));
    for (const stream of streams) wheel.add(stream, 0);
    const ticked = (): number => streams.filter((stream) => stream.ticks > 0).length;
    let most = 0;
    for (let now = 1, before = 0; now <= 20; now += 1, before = ticked()) {
      wheel.turn(now);
      most = Math.max(most, ticked() - before);
    }
    assert.equal(ticked(), 100);
    assert.ok(most <= 7, `${most} of 100 streams in one of 20 ms`);
  });

  test('forgets streams that have ended or are removed', () => {
    const wheel = new StreamWheel();
    const [ending, removed] = [counted(10, 3), counted(10)];
    wheel.add(ending, 0);
    wheel.add(removed, 0);
    wheel.remove(removed);
    wheel.turn(1000);
    assert.deepEqual([wheel.size, ending.ticks, removed.ticks], [0, 3, 0]);
  });
});

test('rounds begin with each system in turn', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join('')),
    ['abc', 'bca', 'cab', 'abc'],
  );
  assert.deepEqual(rotated([], 3), []);
});
