import { randomUUID } from 'node:crypto';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ErrorCode, GatewayError } from '../core/errors.ts';
import type { RoutingTable } from '../core/table.ts';
import type { AdapterNames } from './adapter-names.ts';
import type { Gate } from './auth/gate.ts';
import type { Guesses } from './auth/guesses.ts';
import type { Limiter } from './auth/limiter.ts';
import { askForKey, keyOf } from './auth/ask-for-key.ts';
import { collectBody } from './body.ts';
import { discardRest, isAnswered, onClientError } from './client-error.ts';
import { addCors } from './cors.ts';
import type { ExchangeDeps } from './exchange.ts';
import { addOperations, apiOf, operationMethods, takesForms } from './operation-route.ts';
import { checkEncoding, checkHead, maxHeaders } from './http-rules.ts';
import type { MediaDesk } from './media/desk.ts';
import { prefixOf, rewriteUrl } from './route-prefix.ts';
import { listCards, modelCard } from './openai/model-card.ts';
import { errorReply } from './openai/error-body.ts';

export interface ServerDeps extends ExchangeDeps {
  readonly log: Logger;
  /** Who may use the API now. */
  gate(): Gate;
  readonly limiter: Limiter;
  /** Fetches what requests name by URL. */
  readonly media: MediaDesk;
  readonly adapterNames: AdapterNames;
  /** Undefined: nobody counts wrong keys. */
  readonly guesses: Guesses | undefined;
  /** True from the moment the gateway is not ready any more because it will stop; it may still take requests. */
  ending(): boolean;
  /** True from the moment the gateway takes no new requests. */
  draining(): boolean;
}

type Limits = ServerDeps['settings']['limits'];

const requestIdPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** Path → methods, for 405. `/v1/models/{id}` is any path below `/v1/models/`. */
const methodsByPath: ReadonlyMap<string, string> = new Map([
  ...operationMethods,
  ['/v1/models', 'GET, HEAD'],
  ['/health', 'GET, HEAD'],
  ['/ready', 'GET, HEAD'],
]);

function methodsOf(path: string): string | undefined {
  return methodsByPath.get(path) ?? (path.startsWith('/v1/models/') ? 'GET, HEAD' : undefined);
}

/** Node's and fastify's own errors → ours. */
const codeOfFastifyError: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_CTP_EMPTY_TYPE: 'media_type_unsupported',
};

function requestId(headers: FastifyRequest['headers']): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
}

function wrongType(expected: string): GatewayError {
  return new GatewayError('media_type_unsupported', `The Content-Type must be '${expected}'.`);
}

function asGatewayError(error: FastifyError | GatewayError, route: string | undefined): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = codeOfFastifyError[error.code];
  if (code === 'media_type_unsupported') return wrongType(takesForms(route) ? 'multipart/form-data' : 'application/json');
  if (code !== undefined || (error.statusCode !== undefined && error.statusCode < 500))
    return new GatewayError('request_invalid', error.message, { cause: error });
  return new GatewayError('internal_error', 'The gateway failed to handle the request; its log has the details.', { cause: error });
}

function sendError(deps: ServerDeps, reply: FastifyReply, error: GatewayError): void {
  if (!isAnswered(reply.request.raw.socket)) deps.metrics.rejected(error.code);
  const key = deps.settings.metricsByKey ? keyOf(reply.request.raw) : undefined;
  if (key !== undefined) deps.metrics.requestOfKey(key.name, error.code);
  const { status, headers, body } = errorReply(error, apiOf(reply.request.routeOptions.url ?? ''));
  if (error.code === 'body_too_large') {
    // Fastify's word; see `discardRest`.
    reply.removeHeader('connection');
    discardRest(reply.request.raw, reply.raw, deps.clock);
  }
  reply.status(status).headers(headers).type('application/json; charset=utf-8').send(body);
}

/** What of the table the client may know of. */
function visibleTable(deps: ServerDeps, { raw }: FastifyRequest): RoutingTable {
  return deps.gate().visible(deps.table(), keyOf(raw));
}

function handleReady(deps: ServerDeps) {
  return (_request: FastifyRequest, reply: FastifyReply): void => {
    const models = [...deps.table().models].map(([id, { status, replicas }]) => ({
      id,
      phase: status.phase,
      replicas: replicas.length,
      error: status.error?.message,
    }));
    // A model that sleeps is woken by a request: kept away from all of them it would sleep for ever.
    const able = [...deps.table().models.values()].some(({ status, replicas }) => replicas.length > 0 || status.asleep === true);
    const ending = deps.ending() || deps.draining();
    const ready = !ending && able;
    reply.status(ready ? 200 : 503).send({ status: ending ? 'draining' : ready ? 'ready' : 'starting', models });
  };
}

function handleNotFound(deps: ServerDeps) {
  return (request: FastifyRequest, reply: FastifyReply): void => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = methodsOf(path);
    if (methods === undefined) {
      sendError(
        deps,
        reply,
        new GatewayError(
          'route_not_found',
          `${request.method} ${path.slice(0, 256)} is not served here. Routes: ${[...methodsByPath.keys()].join(', ')}, /v1/models/{id}.`,
        ),
      );
      return;
    }
    reply.header('allow', methods);
    sendError(deps, reply, new GatewayError('method_not_allowed', `${path} takes ${methods}, not ${request.method}.`));
  };
}

/** What is not served, and what goes wrong before a request is routed. */
function answerErrors(deps: ServerDeps, app: FastifyInstance): void {
  const notFound = handleNotFound(deps);
  app.setErrorHandler((error: FastifyError | GatewayError, request, reply) => {
    const ours = asGatewayError(error, request.routeOptions.url);
    // What is sent where nothing is served is not judged: that it is not served is the answer.
    if (request.is404 && (ours.code === 'media_type_unsupported' || ours.code === 'request_invalid')) {
      notFound(request, reply);
      return;
    }
    if (ours.code === 'internal_error') deps.log.error({ err: error, requestId: request.id, url: request.url }, 'request failed');
    sendError(deps, reply, ours);
  });
  app.setNotFoundHandler(notFound);
}

/** A client that asks before it sends a body is told to go on only where its length is allowed; what is not is answered at once. */
function onExpectContinue(app: FastifyInstance, { maxBodyBytes, maxMediaBodyBytes }: Limits): void {
  app.server.on('checkContinue', (request, response) => {
    const limit = takesForms(request.url) ? maxMediaBodyBytes : maxBodyBytes;
    if (!(Number(request.headers['content-length']) > limit)) response.writeContinue();
    app.server.emit('request', request, response);
  });
}

/** How often Node looks for clients that are too slow: four times within the shortest time that one may take. */
function checkingInterval({ headersTimeoutMs, requestTimeoutMs }: Limits): number {
  return Math.min(30_000, Math.max(50, Math.floor(Math.min(headersTimeoutMs, requestTimeoutMs) / 4)));
}

/** What bodies may be: JSON, and forms where recordings are taken. */
function addBodyTypes(app: FastifyInstance, limits: Limits): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (request, payload, done) => {
    checkEncoding(request.headers);
    if (takesForms(request.routeOptions.url)) done(wrongType('multipart/form-data'));
    else collectBody(payload, limits.maxBodyBytes, done);
  });
  app.addContentTypeParser('multipart/form-data', (request, payload, done) => {
    checkEncoding(request.headers);
    if (takesForms(request.routeOptions.url)) collectBody(payload, limits.maxMediaBodyBytes, done, 'max_media_body_bytes');
    else done(wrongType('application/json'));
  });
}

/** Before it is known whether there is such a path: what the request asks for is in doubt, and where it ends too. */
function addHeadCheck(deps: ServerDeps, app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    try {
      checkHead(request.raw);
    } catch (error) {
      reply.header('connection', 'close');
      sendError(deps, reply, asGatewayError(error as GatewayError, undefined));
      return;
    }
    done();
  });
}

/** The data plane's HTTP server: routes, error handler, limits. It never listens by itself. */
export function buildServer(deps: ServerDeps): FastifyInstance {
  const { limits, client } = deps.settings;
  const app = fastify({
    requestTimeout: limits.requestTimeoutMs,
    http: {
      keepAlive: true,
      keepAliveInitialDelay: client.keepAliveMs,
      // `checkHead` asks for it, with an answer in our shape.
      requireHostHeader: false,
      requestTimeout: limits.requestTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: checkingInterval(limits),
    },
    genReqId: (raw) => requestId(raw.headers),
    rewriteUrl: (raw) => rewriteUrl(raw, deps.table()),
    // A path that cannot be decoded is none of ours; hooks do not run for it.
    frameworkErrors: (error, _request, reply) =>
      sendError(deps, reply, new GatewayError('route_not_found', error.message, { cause: error })),
    return503OnClosing: false,
    forceCloseConnections: false,
    routerOptions: { maxParamLength: 1024 },
  });
  app.server.maxConnections = limits.maxConnections;
  // One more than is allowed, so that too many are seen.
  app.server.maxHeadersCount = maxHeaders + 1;
  addBodyTypes(app, limits);
  answerErrors(deps, app);
  // What an exchange sends has it already, and never comes by here.
  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', request.id);
    done(null, payload);
  });
  addHeadCheck(deps, app);
  addCors(app, { settings: deps.settings.cors, guarded: (raw) => deps.gate().guards(prefixOf(raw)), methodsOf });
  askForKey(app, () => deps.gate(), deps.guesses);
  onClientError(app.server, (code) => deps.metrics.rejected(code));
  onExpectContinue(app, limits);
  addOperations(app, { ...deps, visibleTable: (request) => visibleTable(deps, request) });
  app.get('/v1/models', (request, reply) => reply.send(listCards(visibleTable(deps, request), prefixOf(request.raw), deps.adapterNames)));
  app.get('/v1/models/*', (request: FastifyRequest<{ Params: { '*': string } }>, reply) => {
    const table = visibleTable(deps, request);
    return reply.send(modelCard(table, prefixOf(request.raw), request.params['*'], deps.adapterNames));
  });
  app.get('/health', (_request, reply) => reply.send({ status: 'ok' }));
  app.get('/ready', handleReady(deps));
  return app;
}
