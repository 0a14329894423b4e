import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../core/errors.ts';
import type { NormalizedRequest, Operation } from '../core/request.ts';
import type { RoutingTable } from '../core/table.ts';
import { type EnginePaths, openaiPath } from '../plugins/openai-path.ts';
import { affinityKey } from './affinity-key.ts';
import { keyOf } from './auth/ask-for-key.ts';
import type { Limiter } from './auth/limiter.ts';
import type { Grant } from './auth/grant.ts';
import { Exchange, type ExchangeDeps } from './exchange.ts';
import { checkForm, checkInput } from './input/check.ts';
import type { MediaDesk, MediaWork } from './media/desk.ts';
import { normalize, normalizeForm, withoutMembers } from './openai/normalize.ts';
import { type Api, operationNames, operations } from './operations.ts';
import { prefixOf } from './route-prefix.ts';

export interface OperationDeps extends ExchangeDeps {
  /** True from the moment the gateway takes no new requests. */
  draining(): boolean;
  readonly limiter: Limiter;
  readonly media: MediaDesk;
  /** What of the table the client may know of. */
  visibleTable(request: FastifyRequest): RoutingTable;
}

const operationOf: ReadonlyMap<string, Operation> = new Map(
  operationNames.flatMap((name) => operations[name].routes.map((route) => [route, name] as const)),
);

/** Whose shape the errors of a path have. */
export function apiOf(path: string): Api {
  const operation = operationOf.get(path);
  return operation === undefined ? 'openai' : operations[operation].api;
}

/** Whether a path takes forms, not JSON. */
export function takesForms(path: string | undefined): boolean {
  const operation = operationOf.get(path ?? '');
  return operation !== undefined && operations[operation].body === 'form';
}

/** What an engine serves whose dialect does not say. */
const leastPaths: EnginePaths = { chat: openaiPath.chat, completions: openaiPath.completions };

/** @throws GatewayError `operation_unsupported` */
function checkServed({ operation, model, requestedModel }: NormalizedRequest, deps: OperationDeps): void {
  const engine = deps.table().models.get(model)?.engine ?? '';
  const paths = deps.dialects.get(engine)?.paths ?? leastPaths;
  if (paths[operation] !== undefined) return;
  const [route] = operations[operation].routes;
  throw new GatewayError('operation_unsupported', `The engine of '${requestedModel}' (${engine}) does not serve ${route}.`, {
    param: 'model',
  });
}

function readRequest(operation: Operation, request: FastifyRequest, table: RoutingTable): NormalizedRequest {
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  const prefix = prefixOf(request.raw);
  if (operations[operation].body === 'json') return normalize(operation, body, table, prefix);
  return normalizeForm(operation, body, request.headers['content-type'] ?? '', table, prefix);
}

/** The request without what the model's engine does not know. @throws GatewayError for what it must not be asked. */
function withinLimits(request: NormalizedRequest, deps: OperationDeps): NormalizedRequest {
  const entry = deps.table().models.get(request.model);
  if (entry === undefined) return request;
  if (request.form !== undefined) {
    checkForm(request.operation, request.form.names, entry.input);
    return request;
  }
  const unknown = checkInput(request, deps.dialects.get(entry.engine)?.parameters, entry.input);
  return unknown.length === 0 ? request : withoutMembers(request, unknown);
}

/** @param headers names and values, alternately */
function addHeaders(reply: FastifyReply, headers: readonly string[]): void {
  for (let at = 0; at + 1 < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1]);
}

interface Accepted {
  readonly operation: Operation;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly acceptedAt: number;
  readonly grant: Grant | undefined;
}

function handle(deps: OperationDeps, operation: Operation) {
  return (request: FastifyRequest, reply: FastifyReply): void | Promise<void> => {
    const acceptedAt = deps.clock.now();
    if (deps.draining()) {
      reply.header('connection', 'close');
      throw new GatewayError('shutting_down', 'The gateway is shutting down.', { retryAfterS: 5 });
    }
    const read = readRequest(operation, request, deps.visibleTable(request));
    checkServed(read, deps);
    const normalized = withinLimits(read, deps);
    const media = deps.media.work(normalized);
    const grant = deps.limiter.grant(keyOf(request.raw), normalized.model, normalized.raw.byteLength, (headers) =>
      addHeaders(reply, headers),
    );
    const accepted = { operation, request, reply, acceptedAt, grant };
    if (media === undefined) begin(deps, accepted, normalized);
    else return beginWithMedia(deps, accepted, normalized, media);
  };
}

function begin(deps: OperationDeps, { request, reply, acceptedAt, grant }: Accepted, normalized: NormalizedRequest): void {
  reply.hijack();
  const routing = deps.table().models.get(normalized.model)?.routing;
  const affinity = routing === undefined ? undefined : affinityKey(routing, request.headers, normalized);
  const countedKey = deps.settings.metricsByKey ? keyOf(request.raw)?.name : undefined;
  new Exchange(deps, normalized, reply.raw, { requestId: request.id, affinity, acceptedAt, grant, countedKey }).start();
}

/** As `begin`, once the request's images are there. A client that leaves before ends the fetching. */
async function beginWithMedia(deps: OperationDeps, accepted: Accepted, normalized: NormalizedRequest, media: MediaWork): Promise<void> {
  const left = new AbortController();
  const leave = (): void => left.abort(new GatewayError('client_closed', 'The client closed the connection.'));
  const { raw } = accepted.reply;
  raw.on('close', leave);
  try {
    const filled = await deps.media.fill(normalized, media, left.signal);
    left.signal.throwIfAborted();
    begin(deps, accepted, filled);
  } catch (error) {
    accepted.grant?.end(false);
    throw error;
  } finally {
    raw.off('close', leave);
  }
}

/** Adds the routes of everything that is asked of models. */
export function addOperations(app: FastifyInstance, deps: OperationDeps): void {
  for (const [path, operation] of operationOf) app.post(path, handle(deps, operation));
}

/** Path → methods, for 405. */
export const operationMethods: ReadonlyMap<string, string> = new Map([...operationOf.keys()].map((path) => [path, 'POST']));
