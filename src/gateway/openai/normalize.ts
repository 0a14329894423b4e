import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../../core/errors.ts';
import type { ModelName } from '../../core/ids.ts';
import type { JsonKind, Member, NormalizedRequest, Operation } from '../../core/request.ts';
import type { RoutingTable } from '../../core/table.ts';
import { scanObject, stringAt } from './scan.ts';

const number: readonly JsonKind[] = ['number', 'null'];
const boolean: readonly JsonKind[] = ['boolean', 'null'];
const text: readonly JsonKind[] = ['string', 'null'];
const object: readonly JsonKind[] = ['object', 'null'];
const array: readonly JsonKind[] = ['array', 'null'];

/** What OpenAI's parameters may be. Only the outermost type: values, ranges and what is nested are the engine's to judge. */
const parameterKinds: ReadonlyMap<string, readonly JsonKind[]> = new Map([
  ['model', ['string']],
  ['stream', boolean],
  ['messages', ['array']],
  ['prompt', ['string', 'array']],
  ['temperature', number],
  ['top_p', number],
  ['n', number],
  ['max_tokens', number],
  ['max_completion_tokens', number],
  ['presence_penalty', number],
  ['frequency_penalty', number],
  ['seed', number],
  ['top_logprobs', number],
  ['logit_bias', object],
  ['stream_options', object],
  ['response_format', object],
  ['metadata', object],
  ['tools', array],
  ['user', text],
  ['stop', ['string', 'array', 'null']],
  ['tool_choice', ['string', 'object', 'null']],
  ['parallel_tool_calls', boolean],
]);

const requiredParameter: Readonly<Record<Operation, string>> = { chat: 'messages', completions: 'prompt' };

function checkKinds(fields: ReadonlyMap<string, Member>): void {
  for (const [name, field] of fields) {
    const allowed = parameterKinds.get(name);
    if (allowed !== undefined && !allowed.includes(field.kind)) {
      throw new GatewayError('request_invalid', `'${name}' must be ${allowed.join(' or ')}, not ${field.kind}.`, { param: name });
    }
  }
}

/** Names shown in an error; a gateway may serve thousands. */
const namesShown = 20;

export function listModels(ids: Iterable<string>): string {
  const all = [...ids];
  const shown = all
    .slice(0, namesShown)
    .map((id) => `'${id}'`)
    .join(', ');
  return all.length > namesShown ? `${shown} and ${all.length - namesShown} more` : shown || 'none';
}

/** @throws GatewayError `model_not_found`, naming the models there are; `key_not_permitted` */
export function resolveModel(table: RoutingTable, prefix: string, requested: string): ModelName {
  const ids = table.apps.get(prefix);
  const model = ids?.get(requested);
  if (model !== undefined) return model;
  if (table.unrestricted?.get(prefix)?.has(requested) === true)
    throw new GatewayError('key_not_permitted', `The key may not use the model '${requested}'.`, { param: 'model' });
  const shown = requested.length > 96 ? `${requested.slice(0, 96)}…` : requested;
  throw new GatewayError(
    'model_not_found',
    `The model ${JSON.stringify(shown)} does not exist here. Models served: ${listModels(ids?.keys() ?? [])}.`,
    {
      param: 'model',
    },
  );
}

/**
 * Reads a chat or completion body: valid UTF-8, valid JSON, the required parameter there, outermost types right, the model known.
 * @throws GatewayError `request_invalid` or `model_not_found`.
 */
export function normalize(operation: Operation, bytes: Buffer, table: RoutingTable, prefix: string): NormalizedRequest {
  if (bytes.length === 0) throw new GatewayError('request_invalid', 'The body is empty; expected a JSON object.');
  if (!isUtf8(bytes)) throw new GatewayError('request_invalid', 'The body is not valid UTF-8.');
  const fields = scanObject(bytes);
  checkKinds(fields);
  const required = requiredParameter[operation];
  if (!fields.has(required)) throw new GatewayError('request_invalid', `'${required}' is missing.`, { param: required });
  const modelField = fields.get('model');
  if (modelField === undefined)
    throw new GatewayError('request_invalid', `'model' is missing. Models served: ${listModels(table.apps.get(prefix)?.keys() ?? [])}.`, {
      param: 'model',
    });
  const requestedModel = stringAt(bytes, modelField);
  return requestOf(operation, bytes, fields, { requestedModel, model: resolveModel(table, prefix, requestedModel) });
}

/** The same request with another body, of our own making. */
export function withBody(request: NormalizedRequest, body: Readonly<Record<string, unknown>>): NormalizedRequest {
  const bytes = Buffer.from(JSON.stringify(body));
  return requestOf(request.operation, bytes, scanObject(bytes), request);
}

function requestOf(
  operation: Operation,
  bytes: Buffer,
  fields: ReadonlyMap<string, Member>,
  { requestedModel, model }: Pick<NormalizedRequest, 'requestedModel' | 'model'>,
): NormalizedRequest {
  const stream = fields.get('stream');
  let parsed: Readonly<Record<string, unknown>> | undefined;
  return {
    operation,
    model,
    requestedModel,
    stream: stream?.kind === 'boolean' && bytes[stream.start] === 0x74,
    raw: bytes,
    members: fields,
    text: (name) => {
      const field = fields.get(name);
      return field?.kind === 'string' ? stringAt(bytes, field) : undefined;
    },
    body: () => (parsed ??= JSON.parse(bytes.toString('utf8')) as Readonly<Record<string, unknown>>),
  };
}
