import { z } from 'zod';
import { defaultAdmin } from '../config/schema.ts';
import { type ErrorCode, errorTable } from '../core/errors.ts';
import { version } from '../core/version.ts';
import {
  anyObject,
  asJson,
  boolean,
  errorSchema,
  errorResponses,
  integer,
  type JsonSchema,
  listOf,
  named,
  objectOf,
  type OpenApiDocument,
  text,
} from '../gateway/openapi/parts.ts';
import {
  type AdapterChangeReply,
  adapterBody,
  adaptersBody,
  adaptersQuery,
  type AdaptersReply,
  type ChangeReply,
  emptyBody,
  logsQuery,
  type LogLine,
  planQuery,
  type PlanReply,
  restartBody,
  type RestartReply,
  scaleBody,
  type ScaleReply,
  stopBody,
  type StatusReply,
  type StopReply,
} from './api.ts';

type Origin = 'tcp' | 'socket';

/** One route of the admin plane. */
export interface AdminRoute {
  readonly method: 'get' | 'post';
  /** With `{name}` for what varies. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  readonly reply: JsonSchema;
  /** Beside those that any route may answer with. */
  readonly codes: readonly ErrorCode[];
  /** Where it is served; left out: both over TCP and over the socket. */
  readonly only?: Origin;
}

/** The members of an answer: all that its type has. */
const replyOf = <T extends object>(
  members: Readonly<Record<keyof T & string, JsonSchema>>,
  optional: readonly (keyof T & string)[] = [],
): JsonSchema => asJson(objectOf(members, optional));

const changed = { models: listOf(anyObject), applies: listOf(text), needsRestart: listOf(text), warnings: listOf(text) };
const parameterOf = (name: string): JsonSchema => ({ name, in: 'path', required: true, schema: text });
const ofEngine: Pick<AdminRoute, 'path' | 'codes' | 'reply'> = {
  path: '/engines/{replica}/{path}',
  reply: { content: { '*/*': {} } },
  codes: ['model_not_found', 'upstream_failed'],
};

/** The only list of these routes; a test holds the server to it. */
export const adminRoutes: readonly AdminRoute[] = [
  {
    method: 'get',
    path: '/metrics',
    summary: "All counters, as Prometheus reads them: the gateway's, its workers', its engines'.",
    reply: { content: { 'text/plain': { schema: text } } },
    codes: [],
  },
  {
    method: 'get',
    path: '/api/status',
    summary: 'Models, replicas, GPUs.',
    reply: replyOf<StatusReply>({
      pid: integer,
      config: listOf(text),
      dataHost: text,
      dataPort: integer,
      apps: listOf(objectOf({ prefix: text, names: listOf(text) })),
      now: { type: 'number' },
      models: listOf(anyObject),
      gpus: listOf(anyObject),
    }),
    codes: [],
  },
  {
    method: 'get',
    path: '/api/plan',
    summary: 'What a reload would do. Changes nothing. `config`: other files than its own, over the socket alone.',
    query: planQuery,
    reply: replyOf<PlanReply>({ ...changed, pid: integer, launch: anyObject }),
    codes: ['config_invalid'],
  },
  {
    method: 'post',
    path: '/api/reload',
    summary: 'Reads the config again and applies it; one that is not valid changes nothing.',
    body: emptyBody,
    reply: replyOf<ChangeReply>(changed),
    codes: ['config_invalid'],
  },
  {
    method: 'post',
    path: '/api/scale',
    summary: 'Sets the number of replicas of a model, until the next reload.',
    body: scaleBody,
    reply: replyOf<ScaleReply>({ model: text, from: integer, to: integer, autoscaled: boolean }),
    codes: ['model_not_found'],
  },
  {
    method: 'get',
    path: '/api/autoscale',
    summary: 'Of each model that follows its load: the last decision and why, and those before it.',
    reply: replyOf<{ models: unknown }>({ models: listOf(anyObject) }),
    codes: [],
  },
  {
    method: 'get',
    path: '/api/adapters',
    summary: 'LoRA adapters: which are loaded where, and which are waited for; `found`: the names of all that were found too.',
    query: adaptersQuery,
    reply: replyOf<AdaptersReply>({ models: listOf(anyObject) }),
    codes: ['model_not_found'],
  },
  {
    method: 'post',
    path: '/api/adapters/load',
    summary: 'Loads a LoRA adapter without a request, or its new weights.',
    body: adapterBody,
    reply: replyOf<AdapterChangeReply>({ model: text, adapter: text, replicas: listOf(integer) }),
    codes: ['model_not_found', 'adapter_not_found', 'adapter_invalid', 'adapter_unavailable'],
  },
  {
    method: 'post',
    path: '/api/adapters/unload',
    summary: 'Takes a LoRA adapter from all replicas, once its requests have ended.',
    body: adapterBody,
    reply: replyOf<AdapterChangeReply>({ model: text, adapter: text, replicas: listOf(integer) }),
    codes: ['model_not_found', 'adapter_not_found'],
  },
  {
    method: 'post',
    path: '/api/adapters/refresh',
    summary: 'Looks for new LoRA adapters and new weights now.',
    body: adaptersBody,
    reply: replyOf<AdaptersReply>({ models: listOf(anyObject) }),
    codes: ['model_not_found'],
  },
  {
    method: 'post',
    path: '/api/restart',
    summary: 'Begins to give replicas a new process each; those that have failed start now.',
    body: restartBody,
    reply: replyOf<RestartReply>({ replicas: listOf(objectOf({ model: text, index: integer, how: { enum: ['replaced', 'retried'] } })) }),
    codes: ['model_not_found'],
  },
  {
    method: 'post',
    path: '/api/stop',
    summary: 'Begins to stop; `now` cuts off what runs.',
    body: stopBody,
    reply: replyOf<StopReply>({ pid: integer }),
    codes: [],
  },
  {
    method: 'get',
    path: '/api/logs',
    summary: 'What engines print, as lines of JSON; with `follow` without end.',
    query: logsQuery,
    reply: {
      content: { 'application/x-ndjson': { schema: objectOf({ replica: text, line: text } satisfies Record<keyof LogLine, JsonSchema>) } },
    },
    codes: ['model_not_found'],
    only: 'socket',
  },
  { method: 'get', summary: 'One engine itself, past routing and waiting: any of its own paths.', ...ofEngine },
  { method: 'post', summary: 'The same; PUT, PATCH and DELETE pass as well.', ...ofEngine },
  { method: 'get', path: '/openapi.json', summary: 'The OpenAPI document of the API.', reply: asJson(anyObject), codes: [] },
  { method: 'get', path: '/openapi-admin.json', summary: 'This document.', reply: asJson(anyObject), codes: [] },
];

const everywhere: readonly ErrorCode[] = ['request_invalid', 'internal_error', 'invalid_api_key', 'key_not_permitted', 'admin_refused'];

/** Those that no client of the API sees have no status of their own. */
function responsesOf(codes: readonly ErrorCode[]): Readonly<Record<string, JsonSchema>> {
  const unprocessable = codes.filter((code) => errorTable[code].status === 0);
  const description = unprocessable.map((code) => `\`${code}\`: ${errorTable[code].meaning}`).join('\n\n');
  return {
    ...errorResponses(
      codes.filter((code) => errorTable[code].status > 0),
      'Error',
    ),
    ...(unprocessable.length === 0 ? {} : { 422: { description, ...asJson(named('Error')) } }),
  };
}

const schemaOf = (schema: z.ZodType): z.core.JSONSchema.BaseSchema => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });

/** A query's members, each a parameter. */
function parametersOf(query: z.ZodType): readonly JsonSchema[] {
  const { properties = {}, required = [] } = schemaOf(query);
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: schema as JsonSchema,
  }));
}

function operationOf({ method, path, summary, query, body, reply, codes, only }: AdminRoute): JsonSchema {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => parameterOf(name));
  const parameters = [...inPath, ...(query === undefined ? [] : parametersOf(query))];
  const { content } = reply;
  return {
    operationId: `${method}_${path.replaceAll(/\W+/g, '_').replace(/^_/, '')}`,
    summary,
    ...(only === undefined ? {} : { description: 'Only over the socket in the state directory.' }),
    security: [{}, { bearer: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: asJson({ ...schemaOf(body), $schema: undefined }) }),
    responses: { 200: { description: 'The answer.', content }, ...responsesOf([...everywhere, ...codes]) },
  };
}

/** The OpenAPI document of the admin plane. */
export function adminDocument(): OpenApiDocument {
  const paths = new Map<string, Record<string, JsonSchema>>();
  for (const route of adminRoutes) paths.set(route.path, { ...paths.get(route.path), [route.method]: operationOf(route) });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Roundhouse admin plane',
      version,
      description: 'On a listener of its own, and over the socket `admin.sock` in the state directory; never on the port of the API.',
    },
    servers: [{ url: `http://${defaultAdmin.host}:${defaultAdmin.port}` }],
    paths: Object.fromEntries(paths),
    components: { schemas: { Error: errorSchema }, securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  };
}
