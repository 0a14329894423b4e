import type { InputLimits } from '../../core/input-limits.ts';
import { isMapping, type Mapping } from '../../core/json.ts';
import { overLimit, shown, wrong } from './faults.ts';
import { checkRegex } from './regex.ts';

/** Members of a schema that hold data, not schemas. */
const data: ReadonlySet<string> = new Set(['const', 'default', 'enum', 'example', 'examples']);

/** Members of a schema that hold schemas by names of the client's choice. */
const byName: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);

/** Members by which a schema is another one, so that a circle of them never comes to an end. */
const sameThing = ['allOf', 'anyOf', 'oneOf'];

/**
 * What an engine would turn into a grammar: no deeper than the limit, each regular expression short and well-formed, each `type` a name or
 * names, each `$ref` to something in the schema itself that is not, by way of others, itself again.
 * @throws GatewayError `param_too_large`, `request_invalid`
 */
export function checkSchema(param: string, schema: unknown, limits: InputLimits): void {
  if (typeof schema === 'boolean') return;
  if (!isMapping(schema)) throw wrong(param, `is not a JSON schema: ${shown(schema)}`);
  const ended = new Set<unknown>();
  const walk = (value: unknown, path: string, depth: number, names: boolean): void => {
    if (typeof value !== 'object' || value === null) return;
    if (depth > limits.maxSchemaDepth) throw overLimit(param, 'is nested deeper', 'maxSchemaDepth', limits);
    if (isMapping(value) && !names) {
      checkWords(path, value, limits);
      if ('$ref' in value) checkEnds({ param: `${path}.$ref`, root: schema, ended, open: new Set() }, value);
    }
    for (const [key, member] of Object.entries(value)) {
      if (names || Array.isArray(value) || !data.has(key)) walk(member, `${path}.${key}`, depth + 1, !names && byName.has(key));
    }
  };
  walk(schema, param, 1, false);
}

function checkWords(param: string, { pattern, patternProperties, type }: Mapping, limits: InputLimits): void {
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw wrong(`${param}.pattern`, `must be a regular expression, not ${shown(pattern)}`);
    checkRegex(`${param}.pattern`, pattern, limits);
  }
  if (isMapping(patternProperties)) {
    for (const key of Object.keys(patternProperties)) checkRegex(`${param}.patternProperties`, key, limits);
  }
  const types: readonly unknown[] = Array.isArray(type) ? type : [type ?? ''];
  if (types.some((name) => typeof name !== 'string')) {
    throw wrong(`${param}.type`, `must be the name of a type or a list of names, not ${shown(type)}`);
  }
}

interface Unfolding {
  readonly param: string;
  readonly root: Mapping;
  /** Schemas known to come to an end. */
  readonly ended: Set<unknown>;
  /** Those on the way to the present one. */
  readonly open: Set<unknown>;
}

/** @throws GatewayError `request_invalid` where a schema is, by references, a part of nothing but itself. */
function checkEnds(unfolding: Unfolding, schema: unknown): void {
  const { param, root, ended, open } = unfolding;
  if (!isMapping(schema) || ended.has(schema)) return;
  if (open.has(schema)) throw wrong(param, 'refers to itself without an end');
  open.add(schema);
  const { $ref: reference } = schema;
  if (typeof reference === 'string') checkEnds(unfolding, resolve(param, reference, root));
  for (const word of sameThing) {
    const parts = schema[word];
    if (Array.isArray(parts)) for (const part of parts) checkEnds(unfolding, part);
  }
  open.delete(schema);
  ended.add(schema);
}

/** What a reference is to; undefined for an anchor, which engines look up by other means. */
function resolve(param: string, reference: string, root: Mapping): unknown {
  if (!reference.startsWith('#')) throw wrong(param, `must refer to a part of the schema itself, not to ${shown(reference)}`);
  if (reference !== '#' && !reference.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of reference.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const parts: unknown = at;
    at = Array.isArray(parts) ? parts[Number(key)] : isMapping(parts) && Object.hasOwn(parts, key) ? parts[key] : undefined;
  }
  if (at === undefined) throw wrong(param, `refers to ${shown(reference)}, which is not there`);
  return at;
}
