import { GatewayError } from '../core/errors.ts';

/** Keys and list indexes from the top of the config to a value. */
export type ConfigPath = readonly (string | number)[];

/** One thing to tell about a config: a mistake, or (as a warning) something that has no effect. */
export interface ConfigProblem {
  /** As the user named it, or as the file that refers to it does; empty for a config that a program built. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** E.g. `llm_configs[0].engine_kwargs.port`; empty for the file as a whole. */
  readonly path: string;
  /** The value at fault and what was expected. */
  readonly message: string;
}

/** `config_invalid` with every problem of the config; its message has one a line. */
export class ConfigError extends GatewayError {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[], details: ErrorOptions = {}) {
    super('config_invalid', problems.map(formatProblem).join('\n'), details);
    this.problems = problems;
  }
}

/** `file:line:column: path: message`, the form editors and terminals turn into a link. */
export function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  const place = file === '' ? '' : `${file}:${line}:${column}: `;
  return `${place}${path === '' ? '' : `${path}: `}${message}`;
}

/** `['llm_configs', 0, 'engine_kwargs']` → `llm_configs[0].engine_kwargs`. Keys that are not plain words are quoted. */
export function formatPath(path: ConfigPath): string {
  return path
    .map((step, at) => {
      if (typeof step === 'number') return `[${step}]`;
      if (!/^[A-Za-z0-9_-]+$/.test(step)) return `[${JSON.stringify(step)}]`;
      return at === 0 ? step : `.${step}`;
    })
    .join('');
}

/** A value as an error message shows it: short, and never a whole structure. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : typeof value;
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
