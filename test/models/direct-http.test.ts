import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { ByteSink } from '../../src/models/byte-sink.ts';
import { HttpClient } from '../../src/models/http.ts';
import { readHead } from '../../src/models/http-reply-head.ts';
import { textOf } from '../../src/models/reply-text.ts';
import { sinkOf } from '../support/byte-sink.ts';

const body = randomBytes(3 * 1024 * 1024);
const whole = (bytes: Buffer, more = ''): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n${more}\r\n`), bytes]);

interface Scene {
  readonly url: URL;
  readonly client: HttpClient;
  /** Of each request: which connection it came on, counted from 1. */
  readonly asked: readonly number[];
}

type Answer = (socket: Socket, nth: number, head: string) => void;

async function serve(t: TestContext, answer: Answer, make: (handle: (socket: Socket) => void) => Server = createServer): Promise<Scene> {
  const asked: number[] = [];
  const sockets = new Set<Socket>();
  const server = make((socket) => {
    sockets.add(socket);
    const connection = sockets.size;
    socket.on('error', () => undefined);
    socket.on('data', (head) => {
      asked.push(connection);
      answer(socket, asked.length, head.toString('latin1'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new HttpClient({});
  t.after(() => {
    client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: new URL(`http://127.0.0.1:${port}/w.gguf?x=1`), client, asked };
}

const isOk = ({ status }: { readonly status: number }): boolean => status === 200;

async function fetched({ url, client }: Scene, sink: ByteSink, signal = new AbortController().signal): Promise<number> {
  return (await client.receive({ method: 'GET', url, headers: { 'x-test': 'yes' } }, isOk, sink, signal)).status;
}

describe('a body that is read right from its socket', () => {
  it('comes whole, over one connection for one request after another', async (t) => {
    const heads: string[] = [];
    const scene = await serve(t, (socket, _, head) => {
      heads.push(head);
      socket.write(whole(body));
    });
    for (let round = 0; round < 3; round += 1) {
      const got = Buffer.alloc(body.length);
      assert.equal(await fetched(scene, sinkOf(got)), 200);
      assert.ok(got.equals(body));
    }
    assert.deepEqual(scene.asked, [1, 1, 1]);
    assert.equal(heads[0], `GET /w.gguf?x=1 HTTP/1.1\r\nhost: ${scene.url.host}\r\nx-test: yes\r\n\r\n`);
  });

  it('waits while its sink is behind', async (t) => {
    const scene = await serve(t, (socket) => socket.write(whole(body)));
    const got = Buffer.alloc(body.length);
    const plain = sinkOf(got);
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const read = { bytes: 0 };
    const sink: ByteSink = {
      space: () => plain.space(),
      filled: (bytes) => {
        read.bytes += bytes;
        void plain.filled(bytes);
        begun.resolve();
        return gate.promise;
      },
    };
    const done = fetched(scene, sink);
    await begun.promise;
    const held = read.bytes;
    for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
    assert.equal(read.bytes, held, 'nothing is read while it waits');
    gate.resolve();
    await done;
    assert.ok(got.equals(body));
  });

  it('is asked for once more where the other side has closed a connection that was kept', async (t) => {
    const scene = await serve(t, (socket, nth) => (nth === 2 ? socket.destroy() : socket.write(whole(body))));
    await fetched(scene, sinkOf(Buffer.alloc(body.length)));
    const got = Buffer.alloc(body.length);
    await fetched(scene, sinkOf(got));
    assert.ok(got.equals(body));
    assert.deepEqual(scene.asked, [1, 1, 2]);
  });

  it('that ends too early is an error', async (t) => {
    const scene = await serve(t, (socket) => socket.end(whole(body).subarray(0, 1_000_000)));
    await assert.rejects(fetched(scene, sinkOf(Buffer.alloc(body.length))), { problem: 'unreachable' });
    assert.deepEqual(scene.asked, [1], 'not asked for again from its beginning');
  });

  it('that goes on behind its end is cut there, and its connection is not used again', async (t) => {
    let closed = Promise.resolve();
    const scene = await serve(t, (socket) => {
      closed = new Promise((resolve) => socket.once('close', () => resolve()));
      socket.write(Buffer.concat([whole(body), Buffer.from('HTTP/1.1 200 OK\r\n')]));
    });
    for (let round = 0; round < 2; round += 1) {
      const got = Buffer.alloc(body.length);
      await fetched(scene, sinkOf(got));
      assert.ok(got.equals(body));
      await closed;
    }
    assert.deepEqual(scene.asked, [1, 2]);
  });

  it('without a length is left to the HTTP client, of the same origin from then on at once', async (t) => {
    const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')];
    const scene = await serve(t, (socket) =>
      socket.write(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'), ...chunks])),
    );
    for (let round = 0; round < 2; round += 1) {
      const got = Buffer.alloc(body.length);
      await fetched(scene, sinkOf(got));
      assert.ok(got.equals(body));
    }
    assert.equal(scene.asked.length, 3);
  });

  it('leaves with its signal, and the connection is closed', async (t) => {
    const closed = Promise.withResolvers<void>();
    const scene = await serve(t, (socket) => {
      socket.on('close', () => {
        closed.resolve();
      });
      socket.write(whole(body).subarray(0, 100_000));
    });
    const abort = new AbortController();
    const plain = sinkOf(Buffer.alloc(body.length));
    const sink: ByteSink = {
      space: () => plain.space(),
      filled: (bytes) => {
        abort.abort(new Error('enough'));
        return plain.filled(bytes);
      },
    };
    await assert.rejects(fetched(scene, sink, abort.signal), /enough/);
    await closed.promise;
  });
});

describe('a refusal', () => {
  const refusals = {
    'with a length': 'HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno access',
    'in chunks': 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n6\r\naccess\r\n0\r\n\r\n',
    'that ends with its connection': 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nno access',
  };
  for (const [title, text] of Object.entries(refusals))
    it(`${title} is read, and asked for once`, async (t) => {
      const scene = await serve(t, (socket) => (title.endsWith('connection') ? socket.end(text) : socket.write(text)));
      const { status, text: got } = await scene.client.receive(
        { method: 'GET', url: scene.url, headers: {} },
        () => false,
        sinkOf(Buffer.alloc(0)),
        new AbortController().signal,
      );
      assert.deepEqual([status, got, scene.asked.length], [403, 'no access', 1]);
    });
});

const asked = async ({ client, url }: Scene, method: 'GET' | 'HEAD' = 'GET') =>
  await client.send({ method, url, headers: {} }, new AbortController().signal);

/** Writes `bytes` in pieces, each in a turn of its own. */
async function inPieces(socket: Socket, bytes: Buffer, step: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += step) {
    socket.write(bytes.subarray(at, at + step));
    await new Promise(setImmediate);
  }
}

describe('a reply that is read as a whole', () => {
  const listing = 'x'.repeat(100_000);
  it('in chunks is read in whatever pieces it comes, and its connection is used again', async (t) => {
    const text = Buffer.from(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n186a0\r\n${listing}\r\n0\r\nX-After: 1\r\n\r\n`,
    );
    const scene = await serve(t, (socket, nth) => void inPieces(socket, text, [text.length, 1000, 30_000][nth - 1] ?? 1));
    for (let round = 0; round < 3; round += 1) assert.equal((await asked(scene)).text, `abc${listing}`);
    assert.deepEqual(scene.asked, [1, 1, 1]);
  });

  it('to HEAD has the length of another one', async (t) => {
    const scene = await serve(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'));
    for (let round = 0; round < 2; round += 1) {
      const reply = await asked(scene, 'HEAD');
      assert.deepEqual([reply.text, reply.header('content-length')], ['', '9']);
    }
    assert.deepEqual(scene.asked, [1, 1]);
  });

  it('may end with its connection', async (t) => {
    const scene = await serve(t, (socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${listing}`));
    assert.equal((await asked(scene)).text, listing);
  });

  const cut = {
    'before its length': `Content-Length: 9\r\n\r\nno`,
    'within a chunk': 'Transfer-Encoding: chunked\r\n\r\n9\r\nno',
    'before the last chunk': 'Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n',
  };
  for (const [where, rest] of Object.entries(cut))
    it(`that is cut ${where} is an error`, async (t) => {
      const scene = await serve(t, (socket) => socket.end(`HTTP/1.1 200 OK\r\n${rest}`));
      await assert.rejects(asked(scene), { problem: 'unreachable', message: /cut/ });
    });

  it('is an error where it has no end', async (t) => {
    const scene = await serve(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(body));
      };
      socket.on('drain', more);
      more();
    });
    await assert.rejects(asked(scene), { problem: 'unreachable', message: /more than 32 MiB/ });
  });

  it('is an error where its chunks have no size', async (t) => {
    const scene = await serve(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc!\r\n'));
    await assert.rejects(asked(scene), { problem: 'unreachable', message: /no size/ });
  });
});

describe('the text of a reply', () => {
  it('is over with its last chunk and the headers behind it; what comes then is another', () => {
    const chunks = Buffer.from('3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nA: b\r\n\r\n');
    for (let cut = 0; cut <= chunks.length; cut += 1) {
      const text = textOf('chunked');
      text.add(chunks.subarray(0, cut));
      assert.equal(text.ended, cut === chunks.length);
      text.add(chunks.subarray(cut));
      assert.deepEqual([text.bytes().toString(), text.length, text.ended, text.surplus], ['abcd', 4, true, false], `cut at ${cut}`);
      text.add(Buffer.from('x'));
      assert.equal(text.surplus, true);
    }
  });

  it('is no longer than its head says', () => {
    const text = textOf(3);
    text.add(Buffer.from('ab'));
    assert.equal(text.ended, false);
    text.add(Buffer.from('cd'));
    assert.deepEqual([text.bytes().toString(), text.ended, text.surplus], ['abc', true, true]);
  });
});

const tls = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
const secure = (handle: (socket: Socket) => void): Server => createTlsServer({ cert: tls('server.pem'), key: tls('server.key') }, handle);
const here = (scene: Scene, host: string): Scene => ({ ...scene, url: new URL(`https://${host}:${scene.url.port}/w`) });

describe('a store that speaks TLS', () => {
  it('is not read while nobody vouches for it', async (t) => {
    const scene = await serve(t, (socket) => socket.write(whole(body)), secure);
    await assert.rejects(fetched(here(scene, '127.0.0.1'), sinkOf(Buffer.alloc(body.length))), /certificate/);
    assert.deepEqual(scene.asked, []);
  });

  it('is read by the names that its certificate has', async (t) => {
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, tls('ca.pem')]);
    t.after(() => {
      setDefaultCACertificates(before);
    });
    const scene = await serve(t, (socket) => socket.write(whole(body)), secure);
    for (const host of ['127.0.0.1', 'localhost', 'localhost']) {
      const got = Buffer.alloc(body.length);
      await fetched(here(scene, host), sinkOf(got));
      assert.ok(got.equals(body));
    }
    assert.deepEqual(scene.asked, [1, 2, 2]);
  });
});

describe('the head of a reply', () => {
  const plain = 'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/2\r\nETag: "a" \r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 2';
  it('is read where it is plain', () => {
    assert.deepEqual(readHead(plain), {
      status: 206,
      headers: Object.assign(Object.create(null), {
        'content-range': 'bytes 0-1/2',
        etag: '"a"',
        'x-twice': '1',
        'content-length': '2',
      }),
      body: 2,
      keepAlive: true,
    });
    assert.equal(readHead(`${plain}\r\nConnection: Close`)?.keepAlive, false);
  });

  const others = {
    'of an older version': plain.replace('1.1', '1.0'),
    'of an answer before the answer': 'HTTP/1.1 103 Early Hints',
    'without a body': 'HTTP/1.1 304 Not Modified',
    'with two lengths': `${plain}\r\ncontent-length: 3`,
    'with a length and chunks': `${plain}\r\nTransfer-Encoding: chunked`,
    'with a length that is no number': plain.replace('Length: 2', 'Length: +2'),
    'with a line that goes on': `${plain}\r\n more`,
    'with a space before the colon': `${plain}\r\nX : 1`,
    'with a lone line feed': `${plain}\r\nX: 1\nContent-Length: 3`,
  };
  for (const [title, text] of Object.entries(others)) it(`is not read ${title}`, () => assert.equal(readHead(text), undefined));
});
