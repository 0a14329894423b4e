import { isMapping, parseJson } from '../core/json.ts';
import { named, type Parameter } from '../core/parameter.ts';
import type { RequestDraft } from './request-draft.ts';

/** What the text of a reply must be, whichever engine's words the client used for it. `param`: the parameter that said so. */
export type Constraint = { readonly param: string } & (
  | { readonly kind: 'schema'; readonly schema: unknown }
  | { readonly kind: 'object' }
  | { readonly kind: 'regex'; readonly regex: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  /** GBNF, which vLLM and SGLang (by xgrammar) and llama.cpp read alike. */
  | { readonly kind: 'grammar'; readonly grammar: string }
);

type Reader = (param: string, value: unknown) => Constraint | undefined;

const schema: Reader = (param, value) => {
  const read = typeof value === 'string' ? parseJson(value) : value;
  return isMapping(read) || typeof read === 'boolean' ? { param, kind: 'schema', schema: read } : undefined;
};
const regex: Reader = (param, value) => (typeof value === 'string' ? { param, kind: 'regex', regex: value } : undefined);
const grammar: Reader = (param, value) => (typeof value === 'string' ? { param, kind: 'grammar', grammar: value } : undefined);
const object: Reader = (param, value) => (value === true ? { param, kind: 'object' } : undefined);
const choice: Reader = (param, value) =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')
    ? { param, kind: 'choice', choices: value }
    : undefined;

/** Members of vLLM's `structured_outputs`. */
const structured: readonly (readonly [string, Reader])[] = [
  ['json', schema],
  ['regex', regex],
  ['choice', choice],
  ['grammar', grammar],
  ['json_object', object],
];

const structuredOutputs: Reader = (param, value) => {
  if (!isMapping(value)) return undefined;
  for (const [name, read] of structured) if (name in value) return read(`${param}.${name}`, value[name]);
  return undefined;
};

/** Every engine's own words: vLLM's before 0.12 and since, SGLang's, llama-server's. */
const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['structured_outputs', structuredOutputs],
  ...structured.map(([name, read]) => [`guided_${name}`, read] as const),
  ['regex', regex],
  ['ebnf', grammar],
  ['grammar', grammar],
  ['json_schema', schema],
]);

/** What `takeConstraint` takes, whoever's words they are. */
export const constraintParameters: readonly (readonly [string, Parameter])[] = [
  ['structured_outputs', { rule: { kind: 'format' } }],
  ['guided_json', { rule: { kind: 'schema' } }],
  ['guided_regex', { rule: { kind: 'regex' } }],
  ['guided_grammar', { rule: { kind: 'grammar' } }],
  ['regex', { rule: { kind: 'regex' } }],
  ['ebnf', { rule: { kind: 'grammar' } }],
  ['grammar', { rule: { kind: 'grammar' } }],
  ['json_schema', { rule: { kind: 'schema' } }],
  ['guided_whitespace_pattern', { rule: { kind: 'regex' } }],
  ...named('guided_choice', 'guided_json_object', 'guided_decoding_backend'),
];

/** Settings beside a constraint, which mean nothing without it or to another engine. */
const companions = ['guided_decoding_backend', 'guided_whitespace_pattern'];

/**
 * Takes the constraint out of the request, where it is said in words that are not the engine's own; undefined where there is none. The
 * engine's own words (`own`) and `response_format` stand above others', which are then left out. What cannot be read is dropped.
 */
export function takeConstraint(draft: RequestDraft, own: readonly string[]): Constraint | undefined {
  let found: Constraint | undefined;
  const settled = draft.has('response_format') || own.some((name) => draft.has(name));
  for (const [name, read] of readers) {
    if (own.includes(name) || !draft.request.members.has(name)) continue;
    const value = draft.get(name);
    draft.leaveOut(name);
    const constraint = value === null || settled || found !== undefined ? undefined : read(name, value);
    if (constraint === undefined && value !== null)
      draft.drop(name, settled || found ? 'another constraint stands above it' : 'it is not of a form that can be read');
    found ??= constraint;
  }
  for (const name of companions) draft.leaveOut(name);
  return found;
}
