import { isMapping, type Mapping } from '../core/json.ts';
import type { RequestDraft } from './request-draft.ts';

const defaultName = 'response';

/** OpenAI's `response_format` for a schema. */
export function schemaFormat(schema: unknown): Mapping {
  return { type: 'json_schema', json_schema: { name: defaultName, schema } };
}

/**
 * OpenAI's `{"type": "json_schema", "json_schema": {name, schema}}` from what people also send and engines refuse or ignore: no name, the
 * schema itself in `json_schema` (as Ray Serve LLM's documentation shows it), or a `schema` beside the type. Anything else stays as it is.
 */
export function nameSchema(draft: RequestDraft): void {
  if (!draft.has('response_format')) return;
  const format = draft.get('response_format');
  if (!isMapping(format) || format['type'] !== 'json_schema') return;
  const { json_schema: given, schema: beside, ...rest } = format;
  const jsonSchema = complete(given, beside);
  if (jsonSchema !== undefined) draft.set('response_format', { ...rest, json_schema: jsonSchema });
}

/** undefined where nothing is to be mended, or nothing can be. */
function complete(given: unknown, beside: unknown): Mapping | undefined {
  if (given === undefined || given === null) return isMapping(beside) ? { name: defaultName, schema: beside } : undefined;
  if (!isMapping(given)) return undefined;
  if (!('schema' in given) && !('name' in given)) return { name: defaultName, schema: given };
  return typeof given['name'] === 'string' ? undefined : { ...given, name: defaultName };
}
