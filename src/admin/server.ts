import { chmodSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { cannotListen, errorTable, GatewayError, messageOf } from '../core/errors.ts';
import { AdminKey } from './admin-key.ts';
import {
  adapterBody,
  adaptersBody,
  adaptersQuery,
  type Control,
  type StatusReply,
  emptyBody,
  logsQuery,
  planQuery,
  restartBody,
  scaleBody,
  stopBody,
} from './api.ts';
import { dataDocument } from '../gateway/openapi/document.ts';
import { addEnginePass } from './engine-pass.ts';
import { type Origin, refusal } from './guard.ts';
import { logSources, streamLogs } from './log-stream.ts';
import { adminDocument, adminRoutes } from './openapi.ts';
import { socketPath } from './socket-path.ts';

export interface AdminDeps {
  readonly host: string;
  readonly port: number;
  /** `keyDigest` of the key it asks for over TCP; undefined: none. */
  readonly sha256: string | undefined;
  /** Names, besides addresses and `localhost`, by which it may be asked over TCP. */
  readonly allowedHosts: readonly string[];
  /** Where the owner's socket is made. */
  readonly stateDir: string;
  /** The page of metrics, as Prometheus reads it. */
  metrics(): Promise<string>;
  readonly control: Control;
}

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** Longest path of a Unix socket on any system: `sun_path` less its end. */
const longestSocketPath = 103;

/** Checks a body or query. @throws GatewayError `request_invalid` */
function read<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new GatewayError('request_invalid', issues.join('; '));
}

function sendError(error: unknown, reply: FastifyReply): FastifyReply {
  const invalid = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500;
  const code = error instanceof GatewayError ? error.code : invalid ? 'request_invalid' : 'internal_error';
  const { status, type } = errorTable[code];
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // Errors that no client of the data plane sees have no status of their own: what was asked for cannot be done with this config.
  return reply.code(status === 0 ? 422 : status).send({ error: { message: messageOf(error), type, param: null, code } });
}

/** Scrapers ask every few seconds at most: fastify's own figure, 72 s, would let a crowd of them hold descriptors that requests need. */
const keepAliveMs = 5_000;
/** Nor may one that has stopped reading. The owner follows logs over the socket, in which nothing may happen for long. */
const silenceMs = { tcp: 60_000, socket: 0 } as const;

/** The admin plane's HTTP server; never on the data port. Over TCP it changes nothing for pages in a browser, and reads no files. */
export function buildAdmin(
  { metrics, control, sha256, allowedHosts }: Omit<AdminDeps, 'host' | 'port' | 'stateDir'>,
  origin: Origin,
): FastifyInstance {
  const app = fastify({ forceCloseConnections: true, keepAliveTimeout: keepAliveMs, connectionTimeout: silenceMs[origin] });
  // A body that nothing takes is not judged, but that a guard refuses the request is.
  app.setErrorHandler((error, request, reply) =>
    request.is404 && !(error instanceof GatewayError) ? notServed(request, reply, origin) : sendError(error, reply),
  );
  app.setNotFoundHandler((request, reply) => notServed(request, reply, origin));
  if (origin === 'tcp') guardAll(app, new AdminKey(sha256, () => control.access()), allowedHosts);
  app.get('/metrics', async (_request, reply) => {
    reply.type(Registry.PROMETHEUS_CONTENT_TYPE);
    return metrics();
  });
  app.get('/api/status', async () => control.status());
  app.get('/api/plan', async ({ query }) => {
    const { config } = read(planQuery, query);
    if (origin === 'tcp' && config !== undefined)
      throw new GatewayError('request_invalid', 'config: another file can be planned only over the socket in the state directory');
    return control.plan(config);
  });
  app.post('/api/reload', async ({ body }) => {
    read(emptyBody, body);
    return control.reload();
  });
  app.post('/api/scale', async ({ body }) => {
    const { model, replicas } = read(scaleBody, body);
    return control.scale(model, replicas);
  });
  app.get('/api/autoscale', async () => ({ models: control.autoscale() }));
  app.post('/api/restart', async ({ body }) => control.restart(read(restartBody, body).target));
  addAdapters(app, control);
  app.post('/api/stop', async ({ body }) => {
    const how = read(stopBody, body);
    if ('now' in how) return control.stop({ kind: 'now' });
    return control.stop({ kind: 'drain', drainMs: how.drain_s === undefined ? undefined : how.drain_s * 1000 });
  });
  app.get('/openapi.json', async () => dataDocument());
  app.get('/openapi-admin.json', async () => adminDocument());
  addEnginePass(app, control);
  // Engines print prompts at some log levels: only for the owner.
  if (origin === 'socket') app.get('/api/logs', async (request, reply) => sendLogs(request, reply, control));
  return app;
}

function addAdapters(app: FastifyInstance, { adapters }: Control): void {
  app.get('/api/adapters', async ({ query }) => {
    const { model, found } = read(adaptersQuery, query);
    return adapters.list(model, found);
  });
  app.post('/api/adapters/load', async ({ body }) => adapters.load(read(adapterBody, body).adapter));
  app.post('/api/adapters/unload', async ({ body }) => adapters.unload(read(adapterBody, body).adapter));
  app.post('/api/adapters/refresh', async ({ body }) => adapters.refresh(read(adaptersBody, body).model));
}

function notServed({ method, url }: FastifyRequest, reply: FastifyReply, origin: Origin): FastifyReply {
  const path = url.split('?', 1)[0] ?? '';
  const routes = adminRoutes.filter((route) => route.path === path && (route.only ?? origin) === origin);
  const methods = routes.map((route) => route.method.toUpperCase()).join(', ');
  if (methods === '') return sendError(new GatewayError('route_not_found', `There is no ${method} ${url} here.`), reply);
  reply.header('allow', methods);
  return sendError(new GatewayError('method_not_allowed', `${path} takes ${methods}, not ${method}.`), reply);
}

/** Has every request looked at before anything else of it is. */
function guardAll(app: FastifyInstance, key: AdminKey, allowedHosts: readonly string[]): void {
  app.addHook('onRequest', async (request) => {
    guard(request, allowedHosts);
    key.check(request.headers);
  });
}

/** @throws GatewayError `admin_refused` */
function guard({ method, headers }: FastifyRequest, allowedHosts: readonly string[]): void {
  const request = {
    mutating: method !== 'GET' && method !== 'HEAD',
    host: headers.host,
    origin: headers.origin,
    contentType: headers['content-type'],
  };
  const reason = refusal(request, allowedHosts);
  if (reason !== undefined) throw new GatewayError('admin_refused', reason);
}

async function sendLogs(request: FastifyRequest, reply: FastifyReply, control: Control): Promise<FastifyReply> {
  const models = (): StatusReply['models'] => control.status().models;
  const wanted = read(logsQuery, request.query);
  // Before the first byte, so that a wrong name is a status and not the end of a stream.
  logSources(models(), wanted.target);
  const left = new AbortController();
  reply.raw.once('close', () => left.abort());
  async function* text(): AsyncGenerator<string> {
    for await (const { replica, line } of streamLogs(models, { ...wanted, target: wanted.target }, left.signal))
      yield `${JSON.stringify({ replica, line: control.redact(line) })}\n`;
  }
  return reply.type('application/x-ndjson').send(Readable.from(text()));
}

async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** @throws GatewayError `already_running`, `state_unusable` */
async function listenOnSocket(app: FastifyInstance, stateDir: string): Promise<void> {
  const path = socketPath(stateDir);
  if (Buffer.byteLength(path) > longestSocketPath)
    throw new GatewayError(
      'state_unusable',
      `${path} is too long for a socket (at most ${longestSocketPath} bytes); set a shorter gateway.state_dir.`,
    );
  if (await answers(path)) throw new GatewayError('already_running', `Another gateway runs on the state directory ${stateDir}.`);
  try {
    rmSync(path, { force: true });
    await app.listen({ path });
    chmodSync(path, 0o600);
  } catch (error) {
    throw new GatewayError('state_unusable', `Cannot listen on ${path}: ${messageOf(error)} (gateway.state_dir).`, { cause: error });
  }
}

async function listenOnPort(app: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw cannotListen(error, host, port, 'gateway.admin.port');
  }
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/**
 * Listens on TCP and on the socket in the state directory, which must exist and be its owner's alone.
 * @throws GatewayError `port_in_use`, `already_running`, `state_unusable`
 */
export async function startAdmin(deps: AdminDeps): Promise<Admin> {
  const apps = [buildAdmin(deps, 'tcp'), buildAdmin(deps, 'socket')] as const;
  const close = async (): Promise<void> => {
    await Promise.all(apps.map((app) => app.close()));
  };
  try {
    const port = await listenOnPort(apps[0], deps.host, deps.port);
    await listenOnSocket(apps[1], deps.stateDir);
    return { port, close };
  } catch (error) {
    await close();
    throw error;
  }
}
