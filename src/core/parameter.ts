import type { InputLimits } from './input-limits.ts';
import type { JsonKind } from './request.ts';

/** What is looked at in a parameter's value, beyond its outermost type. */
export type ParameterRule =
  /** A number from `least` to a limit. */
  | { readonly kind: 'at-most'; readonly limit: keyof InputLimits; readonly least: number }
  /** A list no longer than a limit; where it is a list of numbers (a prompt's tokens) it counts as one item. */
  | { readonly kind: 'items'; readonly limit: keyof InputLimits }
  /** A regular expression, or a list of them. */
  | { readonly kind: 'regex' }
  /** A grammar in any notation. */
  | { readonly kind: 'grammar' }
  /** A JSON schema, as it is or as text. */
  | { readonly kind: 'schema' }
  /** Something with a JSON schema in it: `response_format` and its relatives, vLLM's `structured_outputs`. */
  | { readonly kind: 'format' }
  | { readonly kind: 'tools' }
  /** Variables of the chat template. */
  | { readonly kind: 'template-kwargs' }
  /** Clients may not use it. `because`: a sentence for them. */
  | { readonly kind: 'refused'; readonly because: string };

/** A member of a request's body. */
export interface Parameter {
  /** Its outermost type; left out: any. */
  readonly kinds?: readonly JsonKind[];
  readonly rule?: ParameterRule;
}

export type Parameters = ReadonlyMap<string, Parameter>;

/** Parameters of which no more is known than their names. */
export function named(...names: readonly string[]): readonly (readonly [string, Parameter])[] {
  return names.map((name) => [name, {}] as const);
}
