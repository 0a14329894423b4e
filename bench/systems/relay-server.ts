/**
 * Process entry of the reference: the least that a gateway on fastify and undici can do. It reads the body, parses it, forwards it as it
 * came and relays the reply's bytes with backpressure. Arguments: the port to listen on, the port of the upstream.
 */
import type { ServerResponse } from 'node:http';
import fastify from 'fastify';
import { Pool, type Dispatcher } from 'undici';

function relayTo(reply: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      reply.once('close', () => {
        if (!reply.writableFinished) controller.abort(new Error('the client left'));
      });
    },
    onResponseStart(_controller, status, { connection: _connection, 'keep-alive': _keepAlive, 'transfer-encoding': _coding, ...headers }) {
      reply.writeHead(status, headers);
    },
    onResponseData(controller, chunk) {
      if (reply.write(chunk)) return;
      controller.pause();
      reply.once('drain', () => controller.resume());
    },
    onResponseEnd() {
      reply.end();
    },
    onResponseError(_controller, error) {
      if (reply.headersSent) reply.destroy();
      else reply.writeHead(502, { 'content-type': 'text/plain' }).end(error.message);
    },
  };
}

async function main(): Promise<void> {
  const [port = 0, upstreamPort = 0] = process.argv.slice(2).map(Number);
  const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { bodyTimeout: 0 });
  const app = fastify({ logger: false, bodyLimit: 10 * 1024 * 1024 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.get('/health', () => 'ok');
  app.post<{ Body: Buffer }>('/v1/chat/completions', (request, reply) => {
    const { body } = request;
    const parsed = JSON.parse(body.toString('utf8')) as { model?: unknown };
    if (typeof parsed.model !== 'string') {
      void reply.code(400).send({ error: { message: 'model: expected a string' } });
      return;
    }
    reply.hijack();
    const headers = { 'content-type': 'application/json', authorization: request.headers.authorization ?? '' };
    pool.dispatch({ path: '/v1/chat/completions', method: 'POST', headers, body }, relayTo(reply.raw));
  });
  process.on('SIGTERM', () => process.exit());
  process.on('disconnect', () => process.exit());
  await app.listen({ port, host: '127.0.0.1', backlog: 4096 });
}

await main();
