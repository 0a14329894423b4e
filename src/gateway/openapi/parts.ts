import { type ErrorCode, errorTable } from '../../core/errors.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: JsonSchema;
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>;
  readonly [more: string]: unknown;
}

export const text = { type: 'string' } as const;
export const integer = { type: 'integer' } as const;
export const number = { type: 'number' } as const;
export const boolean = { type: 'boolean' } as const;
export const anyObject = { type: 'object' } as const;
export const orNull = (schema: { readonly type: string }): JsonSchema => ({ ...schema, type: [schema.type, 'null'] });
export const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

/** An object that has these members, and maybe others. @param optional names of those that may be missing */
export function objectOf(properties: Readonly<Record<string, JsonSchema>>, optional: readonly string[] = []): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
}

export const named = (schema: string): JsonSchema => ({ $ref: `#/components/schemas/${schema}` });
export const asJson = (schema: JsonSchema): JsonSchema => ({ content: { 'application/json': { schema } } });

/** OpenAI's error object. `code` is one of `docs/errors.md`, or the engine's own. */
export const errorSchema = objectOf({
  error: objectOf({ message: text, type: text, param: orNull(text), code: text }),
});

const retryHeaders: JsonSchema = {
  'retry-after': { description: 'Seconds until another try makes sense, where that is known.', schema: integer },
  'retry-after-ms': { description: 'The same in milliseconds.', schema: integer },
};

/** A response for each status of these codes, which names them. @param schema of their bodies, among the components */
export function errorResponses(codes: readonly ErrorCode[], schema: string): Readonly<Record<string, JsonSchema>> {
  const ofStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = errorTable[code];
    ofStatus.set(status, [...(ofStatus.get(status) ?? []), code]);
  }
  const rows = [...ofStatus].sort(([left], [right]) => left - right);
  return Object.fromEntries(
    rows.map(([status, ofThis]) => {
      const description = ofThis.map((code) => `\`${code}\`: ${errorTable[code].meaning}`).join('\n\n');
      const headers = ofThis.some((code) => errorTable[code].retryable) ? { headers: retryHeaders } : {};
      return [String(status), { description, ...headers, ...asJson(named(schema)) }];
    }),
  );
}
