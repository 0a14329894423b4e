/** How an engine's argument parser (Python's argparse) wants some options. Names in snake_case. */
export interface ArgumentStyle {
  /** Whether `false` is written as `--no-name`; it is left out otherwise. */
  readonly negatable: (name: string) => boolean;
  /** Options that take a list as one JSON value. */
  readonly jsonLists: ReadonlySet<string>;
  /** Options that are repeated, once for each element of their list. */
  readonly repeated: ReadonlySet<string>;
}

/**
 * One option as arguments: `--name value`, `--name`, `--no-name`, `--name a b`, `--name '<JSON>'`. A value that begins with `-` is joined
 * (`--name=-1`), because argparse would take it for an option.
 */
export function toArgs(name: string, value: unknown, style: ArgumentStyle): readonly string[] {
  const flag = `--${name.replaceAll('_', '-')}`;
  if (value === true) return [flag];
  if (value === false) return style.negatable(name) && !name.startsWith('no_') ? [`--no-${flag.slice(2)}`] : [];
  if (!Array.isArray(value)) return single(flag, text(value));
  if (style.jsonLists.has(name)) return single(flag, JSON.stringify(value));
  if (value.length === 0) return [];
  const elements = value.map((element: unknown) => text(element));
  if (style.repeated.has(name)) return elements.flatMap((element) => single(flag, element));
  return elements.length === 1 ? single(flag, elements[0] ?? '') : [flag, ...elements];
}

function single(flag: string, value: string): readonly string[] {
  return value.startsWith('-') ? [`${flag}=${value}`] : [flag, value];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
