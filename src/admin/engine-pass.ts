import { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Client } from 'undici';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { EngineAddress } from '../supervisor/run.ts';
import type { Control } from './api.ts';
import { replicasMeant } from './target.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** Of the client's headers. Its key and cookies, and who it says it is, are no concern of an engine's. */
const passedOn = ['accept', 'content-type', 'user-agent'] as const;
/** Longest text of an engine that is held to look for secrets. */
const maxTextBytes = 16 * 1024 * 1024;
/** Whatever a page of an engine holds, it runs no script with the rights of this origin. */
const confined = { 'content-security-policy': "sandbox; default-src 'none'", 'x-content-type-options': 'nosniff' };

/**
 * `/engines/{replica}/…`: one engine, past routing and waiting, for who looks into it. The replica's own key is added and taken out of what
 * it answers; the path stays on its origin whatever it says; a client who leaves ends the request.
 */
export function addEnginePass(app: FastifyInstance, control: Control): void {
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    // Passed on as it comes.
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    scope.route<{ Params: { replica: string } }>({
      method: [...methods],
      url: '/engines/:replica/*',
      exposeHeadRoute: false,
      handler: (request, reply) => pass(request, reply, control),
    });
    done();
  });
}

/** The one replica meant. @throws GatewayError `model_not_found`, `request_invalid`, `upstream_failed` */
function engineMeant(target: string, control: Control): EngineAddress {
  const meant = replicasMeant(control.status().models, target);
  const [first, ...others] = meant;
  if (first === undefined) throw new GatewayError('upstream_failed', `${target} has no replica now.`);
  if (others.length > 0) {
    const names = meant.map(({ model, report }) => `${model}#${report.index}`).join(', ');
    throw new GatewayError('request_invalid', `${target} has several replicas; expected one of ${names} (# is written %23 in a URL).`);
  }
  const { id } = first.report;
  const engine = id === undefined ? undefined : control.engine(id);
  if (engine === undefined) throw new GatewayError('upstream_failed', `${first.model} #${first.report.index} has no process now.`);
  return engine;
}

/** What stands behind `/engines/{replica}` of a request's URL, as a path of an engine's origin: `//host` and `/../` lead nowhere else. */
export function enginePath(url: string): string {
  const rest = url.replace(/^\/engines\/[^/?]*/, '').replace(/^[/\\]*/, '/');
  const { pathname, search } = new URL(`http://engine${rest}`);
  return pathname + search;
}

async function pass(
  request: FastifyRequest<{ Params: { replica: string } }>,
  reply: FastifyReply,
  control: Control,
): Promise<FastifyReply> {
  const { upstream, apiKey, ca } = engineMeant(request.params.replica, control);
  const left = new AbortController();
  const client = new Client(upstream, {
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(ca === undefined ? {} : { connect: { ca: [...getCACertificates('default'), ca] } }),
  });
  reply.raw.once('close', () => {
    left.abort(new Error('the client left, or has its answer'));
    // It is destroyed either way.
    client.destroy().catch(() => undefined);
  });
  const given = passedOn.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]] as const]));
  const key = apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
  const body = request.body instanceof Readable ? request.body : null;
  const method = request.method as (typeof methods)[number];
  try {
    const answer = await client.request({
      method,
      path: enginePath(request.raw.url ?? '/'),
      headers: { ...Object.fromEntries(given), ...key },
      body,
      signal: left.signal,
    });
    const type = String(answer.headers['content-type'] ?? 'application/octet-stream');
    reply.code(answer.statusCode).headers({ 'content-type': type, ...confined });
    if (!isText(type)) return reply.send(answer.body);
    return await reply.send(control.redact(await textOf(answer.body)));
  } catch (error) {
    throw error instanceof GatewayError ? error : new GatewayError('upstream_failed', `The engine did not answer: ${messageOf(error)}.`);
  }
}

/** A text with an end: what may be held until then. */
function isText(type: string): boolean {
  return /^(?:text\/(?!event-stream)|application\/(?:[\w.+-]*\+)?json)/i.test(type);
}

/** @throws Error for one that is too long */
async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxTextBytes) throw new Error(`it sent a text of more than ${maxTextBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
