import { isMapping } from './request-edit.ts';
import type { Body } from './request-edit.ts';

const defaultName = 'response';

/**
 * OpenAI's `{"type": "json_schema", "json_schema": {name, schema}}` from what people also send and engines refuse: no name, the schema
 * itself in `json_schema` (as Ray Serve LLM's documentation shows it), or a `schema` beside the type. Anything else stays as it is.
 */
export function nameSchema(body: Body): Body {
  const format = body['response_format'];
  if (!isMapping(format) || format['type'] !== 'json_schema') return body;
  const { json_schema: given, schema: beside, ...rest } = format;
  const jsonSchema = complete(given, beside);
  return jsonSchema === undefined ? body : { ...body, response_format: { ...rest, json_schema: jsonSchema } };
}

/** undefined where nothing is to be mended, or nothing can be. */
function complete(given: unknown, beside: unknown): Body | undefined {
  if (given === undefined || given === null) return isMapping(beside) ? { name: defaultName, schema: beside } : undefined;
  if (!isMapping(given)) return undefined;
  if (!('schema' in given) && !('name' in given)) return { name: defaultName, schema: given };
  return typeof given['name'] === 'string' ? undefined : { ...given, name: defaultName };
}
