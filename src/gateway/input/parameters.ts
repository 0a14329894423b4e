import type { InputLimits } from '../../core/input-limits.ts';
import { named, type Parameter, type ParameterRule, type Parameters } from '../../core/parameter.ts';
import type { JsonKind, Operation } from '../../core/request.ts';

/**
 * What a request may say, by operation: the only table of it. Members that stand neither here nor among those of the model's engine
 * (`Dialect.parameters`) are left out before the engine sees the request. Only outermost types: what is nested, and ranges of what costs
 * nothing, are the engine's to judge.
 */

type Row = readonly [string, Parameter];

const may = (...kinds: readonly JsonKind[]): readonly JsonKind[] => [...kinds, 'null'];
const number = may('number');
const boolean = may('boolean');
const text = may('string');
const object = may('object');
const array = may('array');

const row = (name: string, kinds: readonly JsonKind[], rule?: ParameterRule): Row => [
  name,
  rule === undefined ? { kinds } : { kinds, rule },
];

const atMost = (limit: keyof InputLimits, least = 0): ParameterRule => ({ kind: 'at-most', limit, least });
const items = (limit: keyof InputLimits): ParameterRule => ({ kind: 'items', limit });
/** −1 asks some engines for as many as fit, which is what leaving it out asks for. */
const outputTokens = atMost('maxOutputTokens', -1);
/** −1 asks vLLM for those of the whole vocabulary. */
const logprobs = atMost('maxLogprobs');
const choices = atMost('maxChoices');
const inputs = items('maxInputs');
const format: ParameterRule = { kind: 'format' };
const tools = row('tools', array, { kind: 'tools' });
const templateKwargs = row('chat_template_kwargs', object, { kind: 'template-kwargs' });

const everywhere: readonly Row[] = [row('model', ['string']), row('user', text), row('metadata', object)];

const streaming: readonly Row[] = [row('stream', boolean), row('stream_options', object)];

/** What picks the next token; the same words in all APIs. */
const sampling: readonly Row[] = [row('temperature', number), row('top_p', number), row('top_k', number)];

/** What becomes of a conversation's tools and thoughts, and names for caching and billing. */
const calling: readonly Row[] = [
  tools,
  row('tool_choice', may('string', 'object')),
  row('parallel_tool_calls', boolean),
  templateKwargs,
  ...named('service_tier', 'prompt_cache_key', 'prompt_cache_retention', 'safety_identifier', 'store'),
];

/** What chat and completions share. */
const generation: readonly Row[] = [
  ...sampling,
  ...streaming,
  row('n', number, choices),
  row('best_of', number, choices),
  row('max_tokens', number, outputTokens),
  row('max_completion_tokens', number, outputTokens),
  row('presence_penalty', number),
  row('frequency_penalty', number),
  row('seed', number),
  row('logit_bias', object),
  row('logprobs', may('boolean', 'number'), logprobs),
  row('top_logprobs', number, logprobs),
  row('prompt_logprobs', number, logprobs),
  row('stop', may('string', 'array'), items('maxStopSequences')),
  row('response_format', object, format),
];

const chat: readonly Row[] = [
  row('messages', ['array']),
  ...generation,
  ...calling,
  ...named('reasoning_effort', 'verbosity', 'prediction', 'modalities', 'audio', 'functions', 'function_call', 'web_search_options'),
];

const completions: readonly Row[] = [row('prompt', ['string', 'array'], inputs), ...generation, ...named('echo', 'suffix')];

const responses: readonly Row[] = [
  row('input', may('string', 'array', 'object')),
  // A stored prompt is named by an object.
  row('prompt', may('string', 'object')),
  row('instructions', may('string', 'array')),
  ...sampling,
  ...streaming,
  row('max_output_tokens', number, outputTokens),
  row('top_logprobs', number, logprobs),
  row('text', object, format),
  ...calling,
  ...named(
    'background',
    'context_management',
    'conversation',
    'include',
    'max_tool_calls',
    'previous_response_id',
    'reasoning',
    'truncation',
  ),
];

const conversation: readonly Row[] = [
  row('messages', ['array']),
  row('system', may('string', 'array')),
  tools,
  row('tool_choice', may('string', 'object')),
  templateKwargs,
  row('output_config', object, format),
  row('output_format', object, format),
  ...named('thinking', 'cache_control', 'context_management'),
];

const messages: readonly Row[] = [
  ...conversation,
  ...sampling,
  row('stream', boolean),
  row('max_tokens', number, outputTokens),
  row('stop_sequences', array, items('maxStopSequences')),
  ...named('service_tier', 'container', 'inference_geo'),
];

const embeddings: readonly Row[] = [
  row('input', may('string', 'array', 'object'), inputs),
  row('messages', ['array']),
  row('dimensions', number),
  row('encoding_format', text),
  templateKwargs,
  ...named('task', 'input_type', 'truncate_prompt_tokens', 'normalize'),
];

const rerank: readonly Row[] = [
  row('query', may('string', 'object', 'array')),
  row('documents', may('array', 'object'), inputs),
  row('top_n', number),
  ...named('return_documents', 'max_tokens_per_doc', 'instruction', 'truncate_prompt_tokens'),
];

const score: readonly Row[] = [
  ...['text_1', 'text_2', 'queries', 'documents', 'data_1', 'data_2', 'query', 'items'].map((name) => [name, { rule: inputs }] as const),
  ...named('label_token_ids', 'apply_softmax', 'item_first', 'truncate_prompt_tokens'),
];

const tokenize: readonly Row[] = [
  row('prompt', may('string', 'array'), inputs),
  row('messages', array),
  tools,
  templateKwargs,
  ...named(
    'content',
    'add_special_tokens',
    'add_generation_prompt',
    'continue_final_message',
    'return_token_strs',
    'with_pieces',
    'parse_special',
  ),
];

const detokenize: readonly Row[] = [row('tokens', ['array']), ...named('skip_special_tokens')];

/** Parts of the form. */
const transcriptions: readonly Row[] = named(
  'file',
  'language',
  'prompt',
  'response_format',
  'temperature',
  'stream',
  'timestamp_granularities[]',
  'include[]',
  'chunking_strategy',
);

/** Parameters by which a client could run code in an engine, make it open files or connections, or speak past its model. */
const refused: readonly Row[] = (
  [
    ['chat_template', 'a template is a program that the engine would run'],
    ['chat_parser', 'a parser is a program that the engine would run'],
    ['custom_logit_processor', 'it is code that the engine would run'],
    ['logits_processors', 'they name code that the engine would load'],
    ['lora_path', "an adapter is chosen by its name: the model's, a colon, the adapter's"],
    ['prompt_embeds', 'they are tensors that the engine would have to trust'],
    ['input_embeds', 'they are tensors that the engine would have to trust'],
    ['mm_processor_kwargs', 'they reach into how the engine reads images'],
    ['media_io_kwargs', 'they reach into how the engine reads images'],
    ['mcp_servers', 'the engine would connect to them'],
    ['__proto__', 'no parameter has this name'],
    ['constructor', 'no parameter has this name'],
    ['prototype', 'no parameter has this name'],
  ] as const
).map(([name, because]) => [name, { rule: { kind: 'refused', because } }] as const);

const table = (...rows: readonly Row[]): Parameters => new Map([...everywhere, ...rows, ...refused]);

export const parameters: Readonly<Record<Operation, Parameters>> = {
  chat: table(...chat),
  completions: table(...completions),
  responses: table(...responses),
  messages: table(...messages),
  count_tokens: table(...conversation),
  embeddings: table(...embeddings),
  rerank: table(...rerank),
  score: table(...score),
  tokenize: table(...tokenize),
  detokenize: table(...detokenize),
  transcriptions: table(...transcriptions),
};
