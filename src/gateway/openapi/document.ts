import { type ErrorCode, errorTable } from '../../core/errors.ts';
import type { Operation } from '../../core/request.ts';
import { defaultListen } from '../../config/schema.ts';
import { version } from '../../core/version.ts';
import { type EnginePaths, openaiPath } from '../../plugins/openai-path.ts';
import { engines } from '../../plugins/registry.ts';
import { operationNames, operations } from '../operations.ts';
import { asJson, errorResponses, integer, type JsonSchema, named, objectOf, type OpenApiDocument, text } from './parts.ts';
import { replyOf, replySchemas } from './replies.ts';
import { requestBody } from './requests.ts';

/** What any route may answer, before it looks at what is asked. */
const everywhere: readonly ErrorCode[] = ['request_invalid', 'request_timeout', 'headers_too_large', 'internal_error'];
const keyed: readonly ErrorCode[] = [...everywhere, 'invalid_api_key', 'rate_limited'];
/** What the routes of model cards may answer with. */
export const modelCodes: readonly ErrorCode[] = [...keyed, 'key_not_permitted', 'model_not_found', 'adapter_not_found'];

/** Codes that no operation answers with: of another plane, of paths, or seen in metrics alone. */
const notOfOperations: readonly ErrorCode[] = ['admin_refused', 'route_not_found', 'method_not_allowed', 'client_closed', 'client_stalled'];

/** What an operation may answer with. */
export const operationCodes: readonly ErrorCode[] = (Object.keys(errorTable) as ErrorCode[]).filter(
  (code) => errorTable[code].status > 0 && !notOfOperations.includes(code),
);

const leastPaths: EnginePaths = { chat: openaiPath.chat, completions: openaiPath.completions };

/** Names of the engines that serve an operation. */
export function enginesOf(operation: Operation): readonly string[] {
  return [...engines].flatMap(([name, { dialect }]) => ((dialect.paths ?? leastPaths)[operation] === undefined ? [] : name));
}

const requestId = { 'x-request-id': { description: "The client's own, or a new one; in the log too.", schema: text } };
const rates = Object.fromEntries(
  ['requests', 'tokens'].flatMap((kind) => [
    [`x-ratelimit-limit-${kind}`, { description: `A minute's ${kind} of the key, where it is limited.`, schema: integer }],
    [`x-ratelimit-remaining-${kind}`, { description: 'What is left of them.', schema: integer }],
    [`x-ratelimit-reset-${kind}`, { description: 'When all are there again: `12ms`, `1.5s`, `1m0s`.', schema: text }],
  ]),
);
const operationHeaders = {
  ...requestId,
  ...rates,
  'server-timing': { description: 'Milliseconds: `queue`, `route`, `cold`, `upstream`.', schema: text },
  'x-gateway-dropped-params': { description: "Parameters that the model's engine cannot honour and that were left out.", schema: text },
};

/** All operations have the same. */
const refusal = (schema: string, status: string): JsonSchema => ({ $ref: `#/components/responses/${schema}${status}` });

const refusals = (schema: string): readonly (readonly [string, JsonSchema])[] =>
  Object.entries(errorResponses(operationCodes, schema)).map(([status, response]) => [`${schema}${status}`, response]);

/** Of one of the events that come with `stream: true`; `data` is JSON, or `[DONE]` as the last one of chat and completions. */
const eventSchema = { ...objectOf({ data: text, event: text }, ['event']), description: 'One event, with `stream: true`.' };

const keys = [{}, { bearer: [] }, { apiKey: [] }];

function post(operation: Operation, route: string): JsonSchema {
  const { api, streams, summary } = operations[operation];
  const { content } = asJson(named(replyOf[operation])) as { content: JsonSchema };
  const stream = { 'text/event-stream': { schema: eventSchema } };
  const errors = api === 'anthropic' ? 'MessagesError' : 'Error';
  return {
    operationId: route === operations[operation].routes[0] ? operation : `${operation}_${route.replaceAll('/', '')}`,
    summary,
    description: `Engines that serve it: ${enginesOf(operation).join(', ')}.`,
    security: keys,
    requestBody: requestBody(operation),
    responses: {
      200: { description: 'The reply.', headers: operationHeaders, content: { ...content, ...(streams ? stream : {}) } },
      ...Object.fromEntries(Object.keys(errorResponses(operationCodes, errors)).map((status) => [status, refusal(errors, status)])),
      default: { description: "The engine's own refusal, with its status and message.", ...asJson(named(errors)) },
    },
  };
}

function get(operationId: string, summary: string, schema: string, codes: readonly ErrorCode[], more: JsonSchema = {}): JsonSchema {
  return {
    operationId,
    summary,
    responses: {
      200: { description: 'The answer.', headers: requestId, ...asJson(named(schema)) },
      ...errorResponses(codes, 'Error'),
    },
    ...more,
  };
}

const others: OpenApiDocument['paths'] = {
  '/v1/models': {
    get: get('models', 'The models, aliases and loaded adapters that the client may use.', 'ModelList', keyed, { security: keys }),
  },
  '/v1/models/{model}': {
    get: get('model', 'One of them. Ids with slashes may be written as they are.', 'Model', modelCodes, {
      security: keys,
      parameters: [{ name: 'model', in: 'path', required: true, schema: text }],
    }),
  },
  '/health': { get: get('health', 'Whether the gateway lives. Needs no key.', 'Health', everywhere) },
  '/ready': { get: readiness() },
};

function readiness(): JsonSchema {
  const ready = get('ready', 'Whether it can serve, and what each model does. Needs no key.', 'Readiness', everywhere);
  const notYet = { description: 'Not ready: no model has a replica yet, or the gateway is stopping.', ...asJson(named('Readiness')) };
  return { ...ready, responses: { ...(ready['responses'] as JsonSchema), 503: notYet } };
}

/** The OpenAPI document of the data plane. */
export function dataDocument(): OpenApiDocument {
  const asked = operationNames.flatMap((name) => operations[name].routes.map((route) => [route, { post: post(name, route) }] as const));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Roundhouse',
      version,
      description:
        "OpenAI's API, and Anthropic's Messages, before the engines of a gateway. Below the `route_prefix` of an application stand the routes that begin with `/v1/`, for its own models.",
    },
    servers: [{ url: `http://${defaultListen.host}:${defaultListen.port}` }],
    paths: Object.fromEntries([...asked, ...Object.entries(others)]),
    components: {
      schemas: replySchemas,
      responses: Object.fromEntries([...refusals('Error'), ...refusals('MessagesError')]),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' } },
    },
  };
}
