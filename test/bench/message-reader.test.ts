import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MessageReader } from '../../bench/load/message-reader.ts';

interface Message {
  startLine: string;
  body: string;
}

function read(pieces: readonly Buffer[]): Message[] {
  const messages: Message[] = [];
  let current: Message = { startLine: '', body: '' };
  const reader = new MessageReader({
    head: (startLine) => {
      current = { startLine, body: '' };
    },
    body: (piece) => {
      current.body += piece.toString('latin1');
    },
    end: () => messages.push(current),
  });
  for (const piece of pieces) reader.push(piece);
  return messages;
}

const stream = Buffer.from(
  [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nserver: s\r\n\r\n',
    'POST /x HTTP/1.1\r\ncontent-length:2\r\n\r\n\r\n',
  ].join(''),
);
const messages: readonly Message[] = [
  { startLine: 'HTTP/1.1 200 OK', body: 'hello' },
  { startLine: 'HTTP/1.1 200 OK', body: 'abc0123456789' },
  { startLine: 'HTTP/1.1 204 No Content', body: '' },
  { startLine: 'POST /x HTTP/1.1', body: '\r\n' },
];

describe('MessageReader', () => {
  test('reads messages that follow each other, sized, chunked and without a body', () => {
    assert.deepEqual(read([stream]), messages);
  });

  test('reads the same wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const pieces = at.slice(1).map((end, index) => stream.subarray(at[index], end));
        assert.deepEqual(read(pieces), messages);
      }),
    );
    assert.deepEqual(read([...stream].map((byte) => Buffer.from([byte]))), messages);
  });

  test('ends no message before its last byte', () => {
    assert.equal(read([stream.subarray(0, stream.indexOf('hello') + 4)]).length, 0);
  });

  test('refuses a chunk without a size', () => {
    assert.throws(() => read([Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n')]), /not a chunk size: "xyz"/);
  });

  test('refuses a head that never ends', () => {
    assert.throws(() => read([Buffer.alloc(70_000, 'a')]), /no line end/);
  });
});
