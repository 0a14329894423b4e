import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chat, dataPlane, scriptedEngine } from '../support/data-plane.ts';
import { ambiguousRequests, rightTypes, trickyPaths, wrongTypes } from '../support/http-corpus.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';

const body = JSON.stringify(chat());

const many = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `a${at}:`);

describe('on the wire', () => {
  test('what two servers could read differently is refused, and never reaches an engine', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
    const { port } = await dataPlane(t, [engine]);
    for (const [name, bytes] of ambiguousRequests(body)) {
      const { status, statuses } = await sendRaw(port, [bytes]);
      assert.equal(status, 400, name);
      assert.equal(statuses.length, 1, name);
    }
    assert.deepEqual(engine.bodies, []);
  });

  test('paths that look like others are none', async (t) => {
    const { port } = await dataPlane(t, []);
    for (const target of trickyPaths) assert.equal((await sendRaw(port, [rawRequest({ method: 'GET', target })])).status, 404, target);
  });

  test('only JSON in UTF-8, however it is spelt', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
    const { port } = await dataPlane(t, [engine]);
    for (const [name, request] of wrongTypes) assert.equal((await sendRaw(port, [rawRequest({ ...request, body })])).status, 415, name);
    assert.deepEqual(engine.bodies, []);
    for (const type of rightTypes)
      assert.equal((await sendRaw(port, [rawRequest({ headers: [`Content-Type: ${type}`], body })])).status, 200, type);
    assert.equal(engine.bodies.length, rightTypes.length);
  });

  test('too many or too long headers: 431', async (t) => {
    const { port } = await dataPlane(t, []);
    const get = (headers: readonly string[]): Promise<{ status: number }> =>
      sendRaw(port, [rawRequest({ method: 'GET', target: '/health', headers })]);
    assert.deepEqual(
      await Promise.all(
        [many(250), many(260), many(2500), [`A: ${'x'.repeat(15_000)}`], [`A: ${'x'.repeat(17_000)}`]].map(
          async (headers) => (await get(headers)).status,
        ),
      ),
      [200, 431, 431, 200, 431],
    );
  });
});
