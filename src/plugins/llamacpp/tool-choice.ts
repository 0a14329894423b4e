import { GatewayError } from '../../core/errors.ts';
import { isMapping, type Mapping } from '../../core/json.ts';
import type { NormalizedRequest, Operation } from '../../core/request.ts';
import type { Capabilities } from '../../core/table.ts';
import type { RequestDraft } from '../request-draft.ts';

/** What a request says of the tools it offers. `tools`: those that may be called. */
interface ToolChoice {
  readonly required: boolean;
  /** Only some of those that are offered. */
  readonly narrowed: boolean;
  readonly tools: readonly Mapping[];
}

/**
 * A choice that llama-server 0.7.0 does not keep by itself. It knows `required` only, and not with a chat template that shows no tools: such
 * a model never learns of them. @throws GatewayError `request_invalid` for a function that is not offered
 */
function choiceOf(request: NormalizedRequest): ToolChoice | undefined {
  if (!request.members.has('tool_choice') || !request.members.has('tools')) return undefined;
  const all = request.value('tools');
  const read = readChoice(request.value('tool_choice'));
  if (read === undefined || !Array.isArray(all)) return undefined;
  const offered = all.filter(isMapping).filter((tool) => typeof nameOf(tool) === 'string');
  if (offered.length === 0) return undefined;
  const { required, names } = read;
  if (names === undefined) return { required, narrowed: false, tools: offered };
  const known = new Set(offered.map(nameOf));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const expected = [...known].map((name) => `'${String(name)}'`).join(', ');
    const message = `'tool_choice' names the function '${unknown.slice(0, 64)}', which 'tools' do not have; expected one of ${expected}`;
    throw new GatewayError('request_invalid', message, { param: 'tool_choice' });
  }
  return { required, narrowed: true, tools: offered.filter((tool) => names.includes(String(nameOf(tool)))) };
}

/** In the words of any of the three APIs; undefined for a choice that needs nothing, or that nobody knows. */
function readChoice(choice: unknown): { readonly required: boolean; readonly names?: readonly string[] } | undefined {
  if (choice === 'required') return { required: true };
  if (!isMapping(choice)) return undefined;
  switch (choice['type']) {
    case 'any':
      return { required: true };
    case 'function':
    case 'tool': {
      const name = nameOf(choice);
      return typeof name === 'string' ? { required: true, names: [name] } : undefined;
    }
    case 'allowed_tools': {
      const { mode, tools } = isMapping(choice['allowed_tools']) ? choice['allowed_tools'] : choice;
      const names = Array.isArray(tools) ? tools.filter(isMapping).map(nameOf) : [];
      return { required: mode === 'required', names: names.filter((name) => typeof name === 'string') };
    }
    default:
      return undefined;
  }
}

/** Chat completions wrap what a function is. */
function nameOf(tool: Mapping): unknown {
  return isMapping(tool['function']) ? tool['function']['name'] : tool['name'];
}

/** Where llama-server 0.7.0 obeys a schema. */
const writable: ReadonlySet<Operation> = new Set(['chat', 'responses']);

/** Whether the reply is to be one call, written as the JSON that `writtenCalls()` reads, because the engine would let the model answer in words. */
export function asksForWrittenCall(request: NormalizedRequest, can: Capabilities): boolean {
  return writable.has(request.operation) && can.tools === false && choiceOf(request)?.required === true;
}

/** Makes the engine keep to the request's `tool_choice`. */
export function keepToolChoice(draft: RequestDraft, can: Capabilities): void {
  const choice = choiceOf(draft.request);
  if (choice === undefined) return;
  if (asksForWrittenCall(draft.request, can)) {
    haveCallWritten(draft, choice.tools);
    return;
  }
  if (!choice.narrowed) return;
  draft.set('tools', choice.tools);
  const required = draft.request.operation === 'messages' ? withoutName(draft.get('tool_choice')) : 'required';
  draft.set('tool_choice', choice.required ? required : 'auto');
}

/** Anthropic's choice of any tool; `disable_parallel_tool_use` stays. */
function withoutName(choice: unknown): Mapping {
  const { name: _, ...rest } = isMapping(choice) ? choice : {};
  return { ...rest, type: 'any' };
}

function haveCallWritten(draft: RequestDraft, tools: readonly Mapping[]): void {
  for (const name of ['tools', 'tool_choice', 'parallel_tool_calls']) draft.leaveOut(name);
  for (const name of ['json_schema', 'grammar']) if (draft.has(name)) draft.drop(name, 'tool_choice stands above it');
  const functions = tools.map((tool) => (isMapping(tool['function']) ? tool['function'] : withoutType(tool)));
  const schema = callSchema(functions);
  const instruction = `Answer by calling one of these functions:\n${functions.map((one) => JSON.stringify(one)).join('\n')}`;
  if (draft.request.operation === 'responses') {
    draft.set('json_schema', schema);
    const given = draft.get('instructions');
    const told = { role: 'system', content: instruction };
    draft.set('instructions', Array.isArray(given) ? [...(given as readonly unknown[]), told] : joined(given, instruction));
    return;
  }
  draft.set('response_format', { type: 'json_schema', json_schema: { name: 'call', schema } });
  draft.set('messages', withInstruction(draft.get('messages'), instruction));
}

const joined = (...texts: readonly unknown[]): string => texts.filter((text) => typeof text === 'string' && text !== '').join('\n\n');

function withoutType(tool: Mapping): Mapping {
  const { type: _, ...rest } = tool;
  return rest;
}

/** Name first, so that a streamed call can be told by its beginning. */
function callSchema(functions: readonly Mapping[]): Mapping {
  const parameters = functions.map(({ parameters: schema }, at) => [
    `f${at}`,
    saysWhat(schema) ? moved(schema, `#/$defs/f${at}`) : anything,
  ]);
  const calls = functions.map(({ name }, at) => ({
    type: 'object',
    properties: { name: { const: name }, arguments: { $ref: `#/$defs/f${at}` } },
    required: ['name', 'arguments'],
    additionalProperties: false,
  }));
  return { $defs: Object.fromEntries(parameters), anyOf: calls };
}

const anything: Mapping = { type: 'object' };

/** Many write `{}` where they mean an object without members. */
function saysWhat(schema: unknown): boolean {
  return isMapping(schema) && Object.keys(schema).length > 0;
}

/** A schema that is to stand at `place` of another one: its references into itself lead there. */
function moved(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((item) => moved(item, place));
  if (!isMapping(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' && value.startsWith('#') ? `${place}${value.slice(1)}` : moved(value, place),
    ]),
  );
}

/** At the end of the system's message, of which templates know one, at the beginning. */
function withInstruction(messages: unknown, instruction: string): unknown {
  if (!Array.isArray(messages)) return messages;
  const [first, ...rest] = messages as readonly unknown[];
  if (!isMapping(first) || (first['role'] !== 'system' && first['role'] !== 'developer'))
    return [{ role: 'system', content: instruction }, ...(messages as readonly unknown[])];
  const { content } = first;
  const told = Array.isArray(content)
    ? [...(content as readonly unknown[]), { type: 'text', text: instruction }]
    : joined(content, instruction);
  return [{ ...first, content: told }, ...rest];
}
