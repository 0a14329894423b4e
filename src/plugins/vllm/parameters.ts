import { named, type Parameters } from '../../core/parameter.ts';
import { constraintParameters } from '../constraint.ts';
import { unknownToAll } from '../unsupported.ts';

/** Other engines' caches, ids of other requests, who comes first. */
export const internal = ['kv_transfer_params', 'ec_transfer_params', 'request_id', 'vllm_xargs', 'priority'];

export const unsupported = [...unknownToAll, 'mirostat', 'typical_p', 'separate_reasoning', 'stream_reasoning'];

/** vLLM's own (0.26.0 and 0.32.0), and those of others that its dialect translates or leaves out. */
export const parameters: Parameters = new Map([
  ...constraintParameters,
  ...named(...internal, ...unsupported),
  ['cache_salt', { kinds: ['string', 'null'] }],
  ...named(
    'min_p',
    'repetition_penalty',
    'length_penalty',
    'use_beam_search',
    'stop_token_ids',
    'include_stop_str_in_output',
    'ignore_eos',
    'min_tokens',
    'skip_special_tokens',
    'spaces_between_special_tokens',
    'truncate_prompt_tokens',
    'truncation_side',
    'allowed_token_ids',
    'bad_words',
    'logprob_token_ids',
    'echo',
    'add_generation_prompt',
    'continue_final_message',
    'add_special_tokens',
    'documents',
    'include_reasoning',
    'thinking_token_budget',
    'return_tokens_as_token_ids',
    'return_token_ids',
    'return_prompt_text',
    'repetition_detection',
    'activation',
    'softmax',
    'embed_dtype',
    'endianness',
  ),
]);
