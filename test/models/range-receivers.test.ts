import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { RangeJob } from '../../src/models/range-receiver.ts';
import { RangeReceivers } from '../../src/models/range-receivers.ts';
import { temporaryDir } from '../support/model-store.ts';

const body = randomBytes(3 * 1024 * 1024);
const never = new AbortController().signal;

interface Scene {
  readonly job: RangeJob;
  readonly receivers: RangeReceivers;
  readonly watch: { heard(bytes: number): void; written(segment: { readonly end: number }, bytes: number): void };
  /** Bytes that were told of. */
  readonly bytes: () => number;
  /** Where the last segment ended. */
  readonly end: () => number;
  readonly file: () => Buffer;
}

/** A web server's answer to the request for the whole body, and who receives it. */
async function scene(
  t: TestContext,
  receivers: RangeReceivers,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<Scene> {
  const server = createServer((request, response) => answer(response, request));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const path = join(temporaryDir(t), 'w.gguf');
  const descriptor = openSync(path, 'w+');
  t.after(async () => {
    await receivers.close();
    closeSync(descriptor);
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/w.gguf`;
  const object = { key: 'w.gguf', sizeBytes: body.length };
  let [bytes, end] = [0, 0];
  const watch: Scene['watch'] = {
    heard: (more) => (bytes += more),
    written: (segment, more) => {
      bytes += more;
      ({ end } = segment);
    },
  };
  const job: RangeJob = {
    method: 'GET',
    url,
    headers: { 'x-test': 'yes' },
    object,
    range: { start: 0, end: body.length },
    descriptor,
    path,
    segmentBytes: 256 * 1024,
  };
  return { job, receivers, watch, bytes: () => bytes, end: () => end, file: () => readFileSync(path) };
}

const kinds: readonly (readonly [string, () => RangeReceivers])[] = [
  ['another thread', () => new RangeReceivers(1, false)],
  ['this thread', () => new RangeReceivers(1, true)],
];

for (const [who, make] of kinds)
  describe(`a body that ${who} receives`, () => {
    it('is in its file, and all of it was told of', async (t) => {
      const { job, receivers, watch, bytes, end, file } = await scene(t, make(), (response, { headers }) => {
        response.writeHead(headers['x-test'] === 'yes' ? 200 : 400, { 'content-length': body.length }).end(body);
      });
      const received = await receivers.receive(job, watch, never);
      assert.equal(received?.status, 200);
      assert.ok(file().equals(body));
      assert.deepEqual([bytes(), end()], [body.length, body.length]);
    });

    it('is not there where the store refuses it, and what the store says is', async (t) => {
      const { job, receivers, watch, bytes } = await scene(t, make(), (response) => {
        response.writeHead(403, { 'content-length': 6 }).end('denied');
      });
      const received = await receivers.receive(job, watch, never);
      assert.deepEqual([received?.status, received?.text, bytes()], [403, 'denied', 0]);
    });

    it('is left to others where its reply is not plain', async (t) => {
      const { job, receivers, watch, bytes } = await scene(t, make(), (response) => {
        response.writeHead(200).end(body);
      });
      assert.equal(await receivers.receive(job, watch, never), undefined);
      assert.equal(bytes(), 0);
    });

    it('is an error of its kind where it is another than was listed', async (t) => {
      const { job, receivers, watch } = await scene(t, make(), (response) => {
        response.writeHead(200, { 'content-length': 3 }).end('two');
      });
      await assert.rejects(receivers.receive(job, watch, never), { problem: 'changed', message: /^w\.gguf is not what was listed/ });
    });

    it('is an error that names the file where that cannot be written', async (t) => {
      const { job, receivers, watch } = await scene(t, make(), (response) => {
        response.writeHead(200, { 'content-length': body.length }).end(body);
      });
      const readOnly = openSync(job.path, 'r');
      t.after(() => closeSync(readOnly));
      await assert.rejects(receivers.receive({ ...job, descriptor: readOnly }, watch, never), {
        code: 'state_unusable',
        message: /^Cannot write \S+w\.gguf: EBADF/,
      });
    });

    it('ends with the signal, and what came before is told of', async (t) => {
      const leave = new AbortController();
      const { job, receivers, watch, bytes, end } = await scene(t, make(), (response) => {
        response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 512 * 1024));
      });
      const gone = new Error('nobody wants it any more');
      const written: typeof watch.written = (segment, more) => {
        watch.written(segment, more);
        leave.abort(gone);
      };
      await assert.rejects(receivers.receive(job, { ...watch, written }, leave.signal), gone);
      assert.ok(end() >= 256 * 1024 && end() === bytes(), `${end()} written, ${bytes()} heard`);
      await assert.rejects(receivers.receive(job, watch, leave.signal), gone);
    });
  });

describe('receivers', () => {
  it('share what there is', async (t) => {
    const waiting: ServerResponse[] = [];
    const { job, receivers, watch } = await scene(t, new RangeReceivers(2, true), (response) => {
      waiting.push(response);
      // A thread whose jobs all waited for the others' would never end.
      if (waiting.length === 4) for (const each of waiting) each.writeHead(200, { 'content-length': body.length }).end(body);
    });
    const all = await Promise.all(Array.from({ length: 4 }, async () => await receivers.receive(job, watch, never)));
    assert.deepEqual(
      all.map((received) => received?.status),
      [200, 200, 200, 200],
    );
  });

  it('go on with the file that they have begun', async (t) => {
    const sockets: unknown[] = [];
    const asked: number[] = [];
    const { job, receivers, watch } = await scene(t, new RangeReceivers(2, true), (response, { socket }) => {
      if (!sockets.includes(socket)) sockets.push(socket);
      asked.push(sockets.indexOf(socket));
      response.writeHead(200, { 'content-length': body.length }).end(body);
    });
    const other = openSync(job.path, 'w');
    t.after(() => closeSync(other));
    for (const descriptor of [job.descriptor, other, job.descriptor, other, other])
      await receivers.receive({ ...job, descriptor }, watch, never);
    assert.deepEqual(asked, [0, 1, 0, 1, 1]);
  });

  it('that die are told of', async (t) => {
    const { job, receivers, watch } = await scene(t, new RangeReceivers(1, false), () => void receivers.close());
    await assert.rejects(receivers.receive(job, watch, never), {
      code: 'internal_error',
      message: 'A thread that received a model has died.',
    });
    await assert.rejects(receivers.receive(job, watch, never), { code: 'internal_error' });
  });
});
