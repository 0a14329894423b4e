import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelName, replicaId, slot } from '../../src/core/ids.ts';
import { emptyTable, type RoutingPolicy, type RoutingTable } from '../../src/core/table.ts';
import { hashText } from '../../src/core/rendezvous.ts';
import { affinityKey } from '../../src/gateway/affinity-key.ts';
import { normalize } from '../../src/gateway/openai/normalize.ts';
import { type Candidate, routeAmong } from '../support/candidates.ts';

const keys = Array.from({ length: 1000 }, (_, key) => hashText(`session ${key}`));
const replicas = (count: number, inFlight: (index: number) => number = () => 0, without: readonly number[] = []): Candidate[] =>
  Array.from({ length: count }, (_, index) => index)
    .filter((index) => !without.includes(index))
    .map((index) => ({
      inFlight: inFlight(index),
      replica: { id: replicaId(`run ${index}`), slot: slot(index), index, upstream: 'http://127.0.0.1:1', apiKey: 'k', maxInFlight: 100 },
    }));
function pick(key: number, candidates: readonly Candidate[]): number {
  const decision = routeAmong({ exclude: new Set(), tieBreak: 0, affinity: key }, candidates);
  return decision.kind === 'send' ? decision.replica.index : -1;
}

describe('affinity', () => {
  test('a key goes to the same replica every time, and keys spread evenly', () => {
    const five = replicas(5);
    const counts = new Map<number, number>();
    for (const key of keys) {
      const index = pick(key, five);
      assert.equal(pick(key, [...five].toReversed()), index);
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    for (const count of counts.values()) assert.ok(count > 150 && count < 250, `${count} of 1000 keys on one of five`);
  });

  test('when a replica goes only its own keys move, and they come back with it', () => {
    for (const key of keys) {
      const before = pick(key, replicas(5));
      const without = pick(
        key,
        replicas(5, () => 0, [2]),
      );
      if (before === 2) assert.notEqual(without, 2);
      else assert.equal(without, before);
      assert.equal(pick(key, replicas(5)), before);
    }
  });

  test('a hot key spills at 1.25 × the mean, always to the same next choice, and loads stay level', () => {
    const loads = [0, 0, 0, 0];
    for (let request = 0; request < 100; request += 1) {
      const index = pick(
        keys[0] as number,
        replicas(4, (at) => loads[at] as number),
      );
      loads[index] = (loads[index] as number) + 1;
    }
    assert.ok(Math.max(...loads) <= Math.ceil(1.25 * 25), loads.join());
    assert.ok(Math.min(...loads) > 0, loads.join());
  });

  test('two requests of an idle key stay together', () => {
    const key = keys[7] as number;
    const home = pick(key, replicas(4));
    assert.equal(
      pick(
        key,
        replicas(4, (at) => (at === home ? 1 : 0)),
      ),
      home,
    );
  });
});

const table: RoutingTable = { ...emptyTable, apps: new Map([['', new Map([['m', modelName('m')]])]]) };
const request = (body: object) =>
  normalize('prompt' in body ? 'completions' : 'chat', Buffer.from(JSON.stringify({ model: 'm', ...body })), table, '');
const sticky: RoutingPolicy = { kind: 'sticky', headers: ['x-session-id', 'x-other'] };
const talk = (...contents: string[]) => ({
  messages: contents.map((content, at) => ({ role: at === 0 ? 'system' : at % 2 === 1 ? 'user' : 'assistant', content })),
});
const stickyKey = (headers: Record<string, string>, more: object = {}) => affinityKey(sticky, headers, request({ ...talk('s'), ...more }));
const prefixKey = (body: object) => affinityKey({ kind: 'prefix' }, {}, request(body));

describe('affinityKey', () => {
  test('sticky: the first header there is, in either spelling, then prompt_cache_key, then user', () => {
    assert.equal(stickyKey({ 'x-session-id': 'a', 'x-other': 'b' }), hashText('a'));
    assert.equal(stickyKey({ x_session_id: 'a' }), hashText('a'));
    assert.equal(stickyKey({ 'x-session-id': '', 'x-other': 'b' }, { user: 'u' }), hashText('b'));
    assert.equal(stickyKey({}, { prompt_cache_key: 'p', user: 'u' }), hashText('p'));
    assert.equal(stickyKey({}, { user: 'ü' }), hashText('ü'));
    assert.equal(stickyKey({}), undefined);
  });

  test('prefix: the turns of a conversation share a key, another first question has its own', () => {
    const first = prefixKey(talk('system', 'question'));
    assert.equal(prefixKey(talk('system', 'question', 'answer', 'next question')), first);
    assert.notEqual(prefixKey(talk('system', 'another question')), first);
    assert.notEqual(prefixKey(talk('another system', 'question')), first);
    assert.equal(prefixKey({ prompt: 'once' }), hashText('once'));
    assert.equal(prefixKey({ messages: [null] }), prefixKey({ messages: [null] }));
  });

  test('least in flight binds nothing', () =>
    assert.equal(affinityKey({ kind: 'least-in-flight' }, { 'x-session-id': 'a' }, request(talk('s'))), undefined));
});
