import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../../core/errors.ts';
import type { ModelName } from '../../core/ids.ts';
import type { Member, NormalizedRequest, Operation } from '../../core/request.ts';
import type { RoutingTable } from '../../core/table.ts';
import { RequestDraft } from '../../plugins/request-draft.ts';
import { scanForm } from '../form.ts';
import { operations } from '../operations.ts';
import { listModels, resolveModel } from './model-name.ts';
import { scanObject, stringAt } from './scan.ts';

function checkRequired(operation: Operation, has: (name: string) => boolean): void {
  for (const oneOf of operations[operation].required) {
    if (oneOf.some(has)) continue;
    const [first = ''] = oneOf;
    throw new GatewayError('request_invalid', `${oneOf.map((name) => `'${name}'`).join(' or ')} is missing.`, { param: first });
  }
}

type Named = Pick<NormalizedRequest, 'requestedModel' | 'model' | 'adapter'>;

/** @throws GatewayError `request_invalid`, `model_not_found`, `key_not_permitted`, `adapter_not_found` */
function modelNamed(requested: string | undefined, table: RoutingTable, prefix: string): Named {
  if (requested !== undefined) {
    const { model, adapter } = resolveModel(table, prefix, requested);
    return adapter === undefined ? { requestedModel: requested, model } : { requestedModel: requested, model, adapter };
  }
  const ids = table.apps.get(prefix) ?? new Map<string, ModelName>();
  const [only] = ids;
  if (only !== undefined && new Set(ids.values()).size === 1) return { requestedModel: only[0], model: only[1] };
  throw new GatewayError('request_invalid', `'model' is missing. Models served: ${listModels(ids.keys())}.`, { param: 'model' });
}

/**
 * Reads a body: valid UTF-8, valid JSON, the required parameters there, the model known. Without `model` it is for the only one there is.
 * @throws GatewayError `request_invalid` or `model_not_found`.
 */
export function normalize(operation: Operation, bytes: Buffer, table: RoutingTable, prefix: string): NormalizedRequest {
  if (bytes.length === 0) throw new GatewayError('request_invalid', 'The body is empty; expected a JSON object.');
  if (!isUtf8(bytes)) throw new GatewayError('request_invalid', 'The body is not valid UTF-8.');
  const fields = scanObject(bytes);
  checkRequired(operation, (name) => fields.has(name));
  const modelField = fields.get('model');
  if (modelField !== undefined && modelField.kind !== 'string')
    throw new GatewayError('request_invalid', `'model' must be string, not ${modelField.kind}.`, { param: 'model' });
  const requested = modelField === undefined ? undefined : stringAt(bytes, modelField);
  return requestOf(operation, bytes, fields, modelNamed(requested, table, prefix));
}

/** The same of a form. @throws GatewayError `request_invalid` or `model_not_found`. */
export function normalizeForm(
  operation: Operation,
  raw: Buffer,
  contentType: string,
  table: RoutingTable,
  prefix: string,
): NormalizedRequest {
  const { names, model } = scanForm(raw, contentType);
  checkRequired(operation, (name) => names.includes(name));
  const requested = model === undefined ? undefined : raw.toString('utf8', model.start, model.end);
  return {
    operation,
    ...modelNamed(requested, table, prefix),
    stream: false,
    raw,
    form: { contentType, model, names },
    members: new Map(),
    text: () => undefined,
    value: () => undefined,
    body: () => ({}),
  };
}

/** The same request with other values for some of its members, the bytes of the rest as they came. undefined: without it. */
export function withMembers(request: NormalizedRequest, changes: ReadonlyMap<string, unknown>): NormalizedRequest {
  const draft = new RequestDraft(request);
  for (const [name, value] of changes) draft.set(name, value);
  const bytes = Buffer.from(draft.toRequest().body);
  const { unknown } = request;
  return { ...requestOf(request.operation, bytes, scanObject(bytes), request), ...(unknown === undefined ? {} : { unknown }) };
}

/** The same request without members that its engine does not know. */
export function withoutMembers(request: NormalizedRequest, names: readonly string[]): NormalizedRequest {
  // What asks for nothing is not missed.
  const unknown = names.filter((name) => request.members.get(name)?.kind !== 'null');
  return { ...withMembers(request, new Map(names.map((name) => [name, undefined]))), unknown };
}

/** The same request with another body, of our own making. */
export function withBody(request: NormalizedRequest, body: Readonly<Record<string, unknown>>): NormalizedRequest {
  const bytes = Buffer.from(JSON.stringify(body));
  return requestOf(request.operation, bytes, scanObject(bytes), request);
}

/** A spread that is not a literal's first member is slow, and slower after a full collection: this runs for every request. */
function requestOf(
  operation: Operation,
  bytes: Buffer,
  fields: ReadonlyMap<string, Member>,
  { requestedModel, model, adapter }: Named,
): NormalizedRequest {
  const stream = fields.get('stream');
  let parsed: Readonly<Record<string, unknown>> | undefined;
  let values: Map<string, unknown> | undefined;
  const request: NormalizedRequest = {
    operation,
    model,
    requestedModel,
    stream: operations[operation].streams && stream?.kind === 'boolean' && bytes[stream.start] === 0x74,
    raw: bytes,
    members: fields,
    text: (name) => {
      const field = fields.get(name);
      return field?.kind === 'string' ? stringAt(bytes, field) : undefined;
    },
    value: (name) => {
      const field = fields.get(name);
      if (field === undefined) return undefined;
      values ??= new Map();
      if (!values.has(name)) values.set(name, JSON.parse(bytes.toString('utf8', field.start, field.end)));
      return values.get(name);
    },
    body: () => (parsed ??= JSON.parse(bytes.toString('utf8')) as Readonly<Record<string, unknown>>),
  };
  return adapter === undefined ? request : { ...request, adapter };
}
