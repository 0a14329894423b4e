import type { InputLimits, InputPolicy } from '../../core/input-limits.ts';
import { isMapping } from '../../core/json.ts';
import type { Parameter, ParameterRule, Parameters } from '../../core/parameter.ts';
import type { JsonKind, Member, NormalizedRequest } from '../../core/request.ts';
import { notForClients, overLimit, wrong } from './faults.ts';
import { checkFormat, checkGrammar, checkRegexes, checkSchemaOrText } from './format.ts';
import { parameters } from './parameters.ts';
import { checkTools } from './tools.ts';

/** Variables by which a template's caller says what is done with it. */
const templateVariables = ['chat_template', 'tokenize', 'return_dict', 'return_tensors', 'conversation', 'conversations'];

/**
 * Looks at each member once: parameters of the operation's table, then those that the engine knows besides (`own`; undefined: it does not
 * say, and gets them all).
 * @returns names of the members that neither knows, which the engine is not to see
 * @throws GatewayError `request_invalid`, `param_too_large`, `param_refused`
 */
export function checkInput(request: NormalizedRequest, own: Parameters | undefined, policy: InputPolicy): readonly string[] {
  const table = parameters[request.operation];
  let unknown: string[] | undefined;
  for (const [name, member] of request.members) {
    if (policy.allowed.includes(name)) continue;
    const parameter = table.get(name) ?? own?.get(name);
    if (parameter === undefined) {
      if (own !== undefined) (unknown ??= []).push(name);
    } else {
      if (parameter.kinds !== undefined) checkKind(name, member.kind, parameter.kinds);
      if (parameter.rule !== undefined) checkRule(request, name, member, parameter.rule, policy.limits);
    }
  }
  return unknown ?? [];
}

/** The same of a form, of which only the parts' names are looked at. @throws GatewayError `param_refused` */
export function checkForm(operation: NormalizedRequest['operation'], names: readonly string[], { allowed }: InputPolicy): void {
  for (const name of names) {
    const rule: Parameter['rule'] = parameters[operation].get(name)?.rule;
    if (rule?.kind === 'refused' && !allowed.includes(name)) throw notForClients(name, rule.because);
  }
}

function checkKind(name: string, kind: JsonKind, allowed: readonly JsonKind[]): void {
  if (!allowed.includes(kind)) throw wrong(name, `must be ${allowed.join(' or ')}, not ${kind}`);
}

function checkRule(request: NormalizedRequest, name: string, member: Member, rule: ParameterRule, limits: InputLimits): void {
  // Asks for nothing.
  if (member.kind === 'null') return;
  switch (rule.kind) {
    case 'refused':
      throw notForClients(name, rule.because);
    case 'at-most':
      if (member.kind === 'number') checkNumber(name, Number(request.value(name)), rule, limits);
      return;
    case 'items':
      if (member.kind === 'array') checkItems(request, name, member, rule.limit, limits);
      return;
    case 'regex':
      checkRegexes(name, request.value(name), limits);
      return;
    case 'grammar':
      checkGrammar(name, request.value(name), limits);
      return;
    case 'template-kwargs':
      checkTemplateKwargs(name, request.value(name));
      return;
    case 'tools':
      checkTools(request.operation, request.value(name), member.end - member.start, limits);
      return;
    case 'schema':
    case 'format':
      checkSize(name, member, limits);
      (rule.kind === 'schema' ? checkSchemaOrText : checkFormat)(name, request.value(name), limits);
  }
}

function checkNumber(
  name: string,
  value: number,
  { limit, least }: { limit: keyof InputLimits; least: number },
  limits: InputLimits,
): void {
  if (value > limits[limit]) throw overLimit(name, `is ${value}`, limit, limits);
  if (value < least) throw wrong(name, `is ${value}; expected a number from ${least} to ${limits[limit]}`);
}

function checkItems(request: NormalizedRequest, name: string, member: Member, limit: keyof InputLimits, limits: InputLimits): void {
  // So few bytes cannot be more items.
  if (member.end - member.start <= 2 * limits[limit] || beginsWithNumber(request.raw, member)) return;
  const items = request.value(name);
  if (!Array.isArray(items) || items.length <= limits[limit]) return;
  throw overLimit(name, `has ${items.length} items`, limit, limits);
}

/** Whether a list is one of numbers: a prompt as tokens is as long as any other prompt. */
function beginsWithNumber(raw: Uint8Array, { start }: Member): boolean {
  let at = start + 1;
  while ((raw[at] ?? 0) <= 0x20) at += 1;
  const byte = raw[at] ?? 0;
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

function checkSize(name: string, { start, end }: Member, limits: InputLimits): void {
  if (end - start > limits.maxSchemaBytes) throw overLimit(name, `has ${end - start} bytes`, 'maxSchemaBytes', limits);
}

function checkTemplateKwargs(name: string, value: unknown): void {
  if (!isMapping(value)) return;
  for (const variable of templateVariables) {
    if (variable in value) throw notForClients(`${name}.${variable}`, 'it is what the engine says to its template');
  }
}
