/**
 * Process entry of the benchmark's upstream: an engine that costs next to nothing. Takes the flags of the `fake` engine that it stands
 * in for (`--port`; the rest it ignores), accepts any key, and serves one model, `bench`.
 */
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { model, readStreamOrder, type StreamOrder } from './load/bodies.ts';
import { MessageReader } from './load/message-reader.ts';
import { StreamWheel, type Stream } from './stream-wheel.ts';

const firstLine = 'HTTP/1.1 200 OK\r\n';

function reply(type: string, body: string, status = firstLine): Buffer {
  return Buffer.from(`${status}content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** A 1 KB chat completion, as engines send them. */
function completion(): string {
  const usage = { prompt_tokens: 200, completion_tokens: 128, total_tokens: 328 };
  const content = 'All trains on this line stop at the roundhouse before they go on. '.repeat(11);
  const choices = [{ index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop' }];
  return JSON.stringify({ id: 'chatcmpl-0123456789abcdef', object: 'chat.completion', created: 1_700_000_000, model, choices, usage });
}

function chunkEvent(): string {
  const choices = [{ index: 0, delta: { content: ' roundhouse' }, logprobs: null, finish_reason: null }];
  const chunk = { id: 'chatcmpl-0123456789abcdef', object: 'chat.completion.chunk', created: 1_700_000_000, model, choices };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

const framed = (text: string): Buffer => Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);

const replies = {
  health: reply('application/json', JSON.stringify({ status: 'ok', pid: process.pid })),
  models: reply(
    'application/json',
    JSON.stringify({ object: 'list', data: [{ id: model, object: 'model', created: 1_700_000_000, owned_by: 'bench' }] }),
  ),
  metrics: reply('text/plain; version=0.0.4', ''),
  notFound: reply('application/json', JSON.stringify({ error: { message: 'not found' } }), 'HTTP/1.1 404 Not Found\r\n'),
  chat: reply('application/json', completion()),
  streamHead: Buffer.from(
    `${firstLine}content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n`,
  ),
  chunk: framed(chunkEvent()),
  streamEnd: Buffer.concat([framed('data: [DONE]\n\n'), Buffer.from('0\r\n\r\n')]),
};

interface Streams {
  start(stream: Stream): void;
  stop(stream: Stream): void;
}

/** Turns a wheel every millisecond while there are streams on it. */
function timedStreams(): Streams {
  const wheel = new StreamWheel();
  let timer: NodeJS.Timeout | undefined;
  const turn = (): void => {
    wheel.turn(performance.now());
    if (wheel.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return {
    start(stream) {
      wheel.add(stream, performance.now());
      timer ??= setInterval(turn, 1);
    },
    stop: (stream) => wheel.remove(stream),
  };
}

/** Long enough for a short request that a gateway has written anew, its members in any order; short enough to cost nothing. */
const tailBytes = 1024;

function serve(socket: Socket, streams: Streams): void {
  let path = '';
  let tail = '';
  let stream: Stream | undefined;
  const startStream = (order: StreamOrder): void => {
    let left = order.chunks - 1;
    socket.write(Buffer.concat([replies.streamHead, replies.chunk]));
    stream = {
      intervalMs: order.intervalMs,
      tick: () => {
        left -= 1;
        socket.write(left < 0 ? replies.streamEnd : replies.chunk);
        return left >= 0;
      },
    };
    if (order.intervalMs > 0) streams.start(stream);
  };
  const answer = (): void => {
    const order = path.startsWith('POST /v1/chat/completions ') ? readStreamOrder(tail) : undefined;
    if (order === undefined) socket.write(fixedReply(path));
    else startStream(order);
  };
  const reader = new MessageReader({
    head: (startLine) => {
      path = startLine;
      tail = '';
    },
    body: (piece) => {
      tail = (tail + piece.toString('latin1', Math.max(0, piece.length - tailBytes), piece.length)).slice(-tailBytes);
    },
    end: answer,
  });
  socket.setNoDelay(true);
  socket.on('data', (data) => {
    reader.push(data);
  });
  // A peer that resets its connection has left, like one that closes it: 'close' follows.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (stream !== undefined) streams.stop(stream);
  });
}

function fixedReply(startLine: string): Buffer {
  if (startLine.startsWith('POST /v1/chat/completions ')) return replies.chat;
  if (startLine.startsWith('GET /health ')) return replies.health;
  if (startLine.startsWith('GET /v1/models ')) return replies.models;
  if (startLine.startsWith('GET /metrics ')) return replies.metrics;
  return replies.notFound;
}

function main(): void {
  const { values } = parseArgs({ options: { port: { type: 'string' } }, strict: false, allowPositionals: true });
  const streams = timedStreams();
  const server = createServer((socket) => serve(socket, streams));
  server.listen({ port: Number(values.port ?? 0), host: '127.0.0.1', backlog: 4096 }, () =>
    process.send?.({ kind: 'listening', address: server.address() }),
  );
  process.on('SIGTERM', () => process.exit());
  process.on('SIGINT', () => process.exit());
  if (process.connected) process.on('disconnect', () => process.exit());
}

main();
