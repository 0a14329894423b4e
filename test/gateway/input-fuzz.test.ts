import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dataPlane, model, scriptedEngine } from '../support/data-plane.ts';
import { ambiguousRequests } from '../support/http-corpus.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { parameters } from '../../src/gateway/input/parameters.ts';
import { operationNames, operations } from '../../src/gateway/operations.ts';

const names = [...new Set(operationNames.flatMap((operation) => [...parameters[operation].keys()])), 'nobody-knows-this'];
const routes = operationNames.filter((name) => operations[name].body === 'json').flatMap((name) => operations[name].routes);

/** Bodies that are nearly right: known names with any values, perhaps cut, or with bytes changed. */
const body = fc
  .record({
    members: fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 3 }),
    named: fc.boolean(),
    cut: fc.option(fc.nat(200), { freq: 1 }),
    junk: fc.option(fc.tuple(fc.nat(200), fc.uint8Array({ maxLength: 8 })), { freq: 1 }),
  })
  .map(({ members, named, cut, junk }) => {
    const right = { ...members, ...(named ? { model, messages: [], prompt: 'p', input: 'i' } : {}) };
    const bytes = Buffer.from(JSON.stringify(right));
    if (junk !== null) bytes.set(junk[1].subarray(0, Math.max(0, bytes.length - junk[0])), Math.min(junk[0], bytes.length));
    return cut === null ? bytes : bytes.subarray(0, cut);
  });

const headers = fc.array(
  fc.oneof(
    fc.constantFrom(
      'Content-Type: application/json',
      'Content-Type: text/plain',
      'Content-Encoding: gzip',
      'Expect: 100-continue',
      'Origin: http://localhost',
    ),
    fc
      .tuple(
        fc.stringMatching(/^[A-Za-z-]{1,12}$/u),
        fc.array(fc.nat(255), { maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes)),
      )
      .map(([name, value]) => `${name}: ${value}`),
  ),
  { maxLength: 5 },
);

test('whatever a client sends, it is answered, and an engine sees only JSON objects', { timeout: 120_000 }, async (t) => {
  const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
  const gateway = await dataPlane(t, [engine]);
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), body, headers, async (target, bytes, more) => {
      const typed = more.some((line) => /^content-type:/iu.test(line)) ? more : ['Content-Type: application/json', ...more];
      const { statuses: got } = await sendRaw(gateway.port, [rawRequest({ target, body: bytes, headers: typed })]);
      // The one before may be 100 Continue.
      const status = got.at(-1) ?? 0;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      assert.ok(
        (status >= 200 && status < 300) || (status >= 400 && status < 500),
        `${target} ${bytes.toString()} ${more.join()}: ${status}`,
      );
    }),
    { numRuns: 1500, seed: 8 },
  );
  assert.ok((statuses.get(200) ?? 0) > 50 && (statuses.get(400) ?? 0) > 50, JSON.stringify([...statuses]));
  for (const seen of engine.bodies) {
    const parsed: unknown = JSON.parse(seen);
    assert.ok(typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed), seen);
    assert.ok(!('chat_template' in parsed && parsed.chat_template !== null) && !('nobody-knows-this' in parsed), seen);
  }
  assert.equal((await fetch(`${gateway.url}/health`)).status, 200);
});

test('nor whatever it writes to the socket', { timeout: 120_000 }, async (t) => {
  const engine = await scriptedEngine(t, (_request, response) => response.end('{}'));
  const gateway = await dataPlane(t, [engine]);
  const right = JSON.stringify({ model, messages: [] });
  const corpus = [rawRequest({ body: right }), ...ambiguousRequests(right).map(([, text]) => Buffer.from(text, 'latin1'))];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...corpus), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), async (whole, changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      // What is not a whole request is ended by its client.
      const { statuses } = await sendRaw(gateway.port, [bytes, '\r\n\r\n'], true);
      for (const status of statuses) assert.ok(status < 500, `${bytes.toString('latin1')}: ${status}`);
    }),
    { numRuns: 600, seed: 9 },
  );
  for (const seen of engine.bodies) assert.ok(seen.startsWith('{') && JSON.parse(seen) !== null, seen);
  assert.equal((await fetch(`${gateway.url}/health`)).status, 200);
});
