import { defaultInputLimits, limitKey } from '../../core/input-limits.ts';
import type { Parameter } from '../../core/parameter.ts';
import type { Operation } from '../../core/request.ts';
import { parameters } from '../input/parameters.ts';
import { type OperationRow, operations } from '../operations.ts';
import { type JsonSchema, listOf, objectOf, text } from './parts.ts';

/** What is known of the inside of lists, which engines judge. */
const items: Readonly<Record<string, JsonSchema>> = {
  messages: { ...listOf({ type: 'object', required: ['role'], properties: { role: text } }), minItems: 1 },
  tokens: listOf({ type: 'integer' }),
  tools: listOf({ type: 'object' }),
};

/** The body of an operation's requests. Whatever is not named in it is left out before the engine sees it, unless the engine knows it. */
export function requestBody(operation: Operation): JsonSchema {
  const { body, required } = operations[operation];
  const members = [...parameters[operation]].filter(([, { rule }]) => rule?.kind !== 'refused');
  const properties = Object.fromEntries(
    members.map(([name, parameter]) => [name, body === 'form' ? partOf(name) : schemaOf(name, parameter)]),
  );
  const schema = { ...objectOf(properties, Object.keys(properties)), ...requirements(required) };
  const type = body === 'form' ? 'multipart/form-data' : 'application/json';
  return { required: true, content: { [type]: { schema, ...(body === 'form' ? {} : { example: examples[operation] }) } } };
}

/** A part of a form; a recording is a file. */
function partOf(name: string): JsonSchema {
  return name === 'file' ? { ...text, contentMediaType: 'application/octet-stream' } : text;
}

/** Of each list one member must be there. */
function requirements(lists: OperationRow['required']): JsonSchema {
  const alone = lists.flatMap((oneOf) => (oneOf.length === 1 ? oneOf : []));
  const choices = lists.filter((oneOf) => oneOf.length > 1);
  return {
    ...(alone.length === 0 ? {} : { required: alone }),
    ...(choices.length === 0 ? {} : { allOf: choices.map((oneOf) => ({ anyOf: oneOf.map((name) => ({ required: [name] })) })) }),
  };
}

function schemaOf(name: string, { kinds, rule }: Parameter): JsonSchema {
  const type = kinds === undefined ? {} : { type: kinds.length === 1 ? kinds[0] : kinds };
  return { ...type, ...(items[name] === undefined ? {} : { ...items[name], ...type }), ...limitOf(rule) };
}

function limitOf(rule: Parameter['rule']): JsonSchema {
  switch (rule?.kind) {
    case 'at-most': {
      const most = defaultInputLimits[rule.limit];
      return { minimum: rule.least, maximum: most, description: `At most \`gateway.limits.${limitKey(rule.limit)}\`: ${most} unless set.` };
    }
    case 'items': {
      const most = defaultInputLimits[rule.limit];
      return { description: `At most \`gateway.limits.${limitKey(rule.limit)}\` items: ${most} unless set.` };
    }
    case 'format':
    case 'schema':
    case 'grammar':
    case 'regex':
      return { description: 'Its schemas, grammars and expressions are held to `gateway.limits.max_schema_*` and `max_regex_chars`.' };
    case 'tools':
      return { description: `At most \`gateway.limits.max_tools\`: ${defaultInputLimits.maxTools} unless set.` };
    case 'template-kwargs':
    case 'refused':
    case undefined:
      return {};
  }
}

const conversation = [{ role: 'user', content: 'What is the capital of France?' }];

/** A request for each, as short as it gets. */
const examples: Readonly<Record<Operation, JsonSchema>> = {
  chat: { model: 'my-model', messages: conversation },
  completions: { model: 'my-model', prompt: 'Once upon a time', max_tokens: 16 },
  responses: { model: 'my-model', input: 'What is the capital of France?' },
  messages: { model: 'my-model', messages: conversation, max_tokens: 64 },
  count_tokens: { model: 'my-model', messages: conversation },
  embeddings: { model: 'my-model', input: ['a cat', 'a kitten'] },
  rerank: { model: 'my-model', query: 'cats', documents: ['a kitten', 'the stock market'] },
  score: { model: 'my-model', text_1: 'cats', text_2: ['a kitten', 'the stock market'] },
  tokenize: { model: 'my-model', prompt: 'Once upon a time' },
  detokenize: { model: 'my-model', tokens: [72, 105] },
  transcriptions: {},
};
