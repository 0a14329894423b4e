/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolation {
  readonly text: string;
  /** The scalar consisted of nothing but one `${…}`. */
  readonly whole: boolean;
  /** Why it cannot be filled in; empty where all went well. */
  readonly problems: readonly string[];
}

// `$${` first, so that an escape is never taken for the start of a variable; a lone `${` last: it is malformed.
const pattern = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)([^}]*))?\}|\$\{/g;

/**
 * Fills in `${NAME}`, `${NAME:-default}` (also when empty, as in a shell) and `${NAME:?message}`; `$${` stands for `${`.
 * What is filled in is text: it is not searched again and never read as YAML. Undefined: there was nothing to fill in.
 */
export function interpolate(text: string, env: Environment): Interpolation | undefined {
  if (!text.includes('${')) return undefined;
  const problems: string[] = [];
  let variables = 0;
  let length = 0;
  const filled = text.replaceAll(pattern, (match: string, name: string | undefined, operator: string | undefined, rest = '') => {
    if (match === '$${') return '${';
    variables += 1;
    length += match.length;
    if (name === undefined) {
      problems.push('expected ${NAME}, ${NAME:-default} or ${NAME:?message}; for the two characters themselves write $${');
      return match;
    }
    const value = env[name];
    if (operator === undefined ? value !== undefined : value !== undefined && value !== '') return value;
    if (operator === ':-') return rest;
    problems.push(missing(name, operator, rest));
    return match;
  });
  return { text: filled, whole: variables === 1 && length === text.length, problems };
}

function missing(name: string, operator: string | undefined, message: string): string {
  if (operator === ':?') return `environment variable ${name} is not set: ${message === '' ? 'it is required' : message}`;
  return `environment variable ${name} is not set; set it, or give a default: \${${name}:-…}`;
}

/** Text as the number (decimal) or boolean it spells; undefined where it spells neither. */
export function numberOrBoolean(text: string): number | boolean | undefined {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

/**
 * Text as what it spells, for places where nobody says what is wanted: a number only if it is written as we would write it, so that
 * an identifier such as `007`, `1e5` or 30 digits is never mangled.
 */
export function spelledOut(text: string): string | number | boolean {
  const value = numberOrBoolean(text);
  return value !== undefined && String(value) === text ? value : text;
}
