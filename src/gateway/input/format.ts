import type { InputLimits } from '../../core/input-limits.ts';
import { isMapping, type Mapping, parseJson } from '../../core/json.ts';
import { overLimit, shown, wrong } from './faults.ts';
import { checkRegex } from './regex.ts';
import { checkSchema } from './schema.ts';

/** A schema as it is, or as JSON text. @throws GatewayError `param_too_large`, `request_invalid` */
export function checkSchemaOrText(param: string, value: unknown, limits: InputLimits): void {
  checkSchema(param, typeof value === 'string' ? parseJson(value) : value, limits);
}

/** @throws GatewayError `param_too_large` */
export function checkGrammar(param: string, value: unknown, limits: InputLimits): void {
  if (typeof value !== 'string') return;
  const bytes = Buffer.byteLength(value);
  if (bytes > limits.maxSchemaBytes) throw overLimit(param, `has ${bytes} bytes`, 'maxSchemaBytes', limits);
}

/** Either one or a list of them. @throws GatewayError `param_too_large`, `request_invalid` */
export function checkRegexes(param: string, value: unknown, limits: InputLimits): void {
  for (const pattern of Array.isArray(value) ? value : [value]) {
    if (typeof pattern !== 'string') throw wrong(param, `must be a regular expression, not ${shown(pattern)}`);
    checkRegex(param, pattern, limits);
  }
}

/**
 * All that may hold a schema around it: OpenAI's `response_format` (also with the schema in the wrong place, as many write it), `text` of
 * its Responses API, Anthropic's `output_config` and `output_format`, vLLM's `structured_outputs`.
 * @throws GatewayError `param_too_large`, `request_invalid`
 */
export function checkFormat(param: string, value: unknown, limits: InputLimits): void {
  if (!isMapping(value)) return;
  const { format, schema, json_schema: named, json, regex, grammar, structural_tag: tag } = value;
  if (isMapping(format)) checkFormat(`${param}.format`, format, limits);
  for (const [key, given] of Object.entries({ schema, json })) {
    if (given !== undefined && given !== null) checkSchemaOrText(`${param}.${key}`, given, limits);
  }
  if (isMapping(named)) checkNamedSchema(`${param}.json_schema`, named, limits);
  if (regex !== undefined && regex !== null) checkRegexes(`${param}.regex`, regex, limits);
  checkGrammar(`${param}.grammar`, grammar, limits);
  checkGrammar(`${param}.structural_tag`, tag, limits);
  checkTagSchemas(param, value, limits);
}

function checkNamedSchema(param: string, named: Mapping, limits: InputLimits): void {
  const { schema } = named;
  if (schema === undefined) checkSchema(param, named, limits);
  else if (schema !== null) checkSchemaOrText(`${param}.schema`, schema, limits);
}

/** `{"type": "structural_tag", "structures": [{begin, schema, end}]}` */
function checkTagSchemas(param: string, { structures }: Mapping, limits: InputLimits): void {
  if (!Array.isArray(structures)) return;
  for (const [index, structure] of structures.entries()) {
    if (isMapping(structure) && isMapping(structure['schema']))
      checkSchema(`${param}.structures.${index}.schema`, structure['schema'], limits);
  }
}
