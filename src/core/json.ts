export type Mapping = Readonly<Record<string, unknown>>;

/** Whether a value is what a JSON object or a YAML mapping becomes. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined where it is none: for those to whom it does not matter what is wrong with it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
