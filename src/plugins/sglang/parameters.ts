import { named, type Parameters } from '../../core/parameter.ts';
import { constraintParameters } from '../constraint.ts';
import { unknownToAll } from '../unsupported.ts';

/** Fields that choose adapters and other engines, name requests (to abort them), or carry code. */
export const internal = [
  'lora_path',
  'rid',
  'routed_dp_rank',
  'data_parallel_rank',
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  'bootstrap_pair_key',
  'disagg_prefill_dp_rank',
  'custom_logit_processor',
  'custom_params',
  'session_id',
  'session_params',
  'priority',
];

/** `suffix` and `best_of` are in its request schema, and nothing reads them (0.5.23). */
export const unsupported = [
  ...unknownToAll,
  'suffix',
  'bad_words',
  'allowed_token_ids',
  'prompt_logprobs',
  'truncate_prompt_tokens',
  'use_beam_search',
  'length_penalty',
  'thinking_token_budget',
  'mirostat',
  'typical_p',
];

/** SGLang's own (0.5.17 and 0.5.23), and those of others that its dialect translates or leaves out. */
export const parameters: Parameters = new Map([
  ...constraintParameters,
  ...named(...internal, ...unsupported),
  ['cache_salt', { kinds: ['string', 'null'] }],
  ['extra_key', { kinds: ['string', 'null'] }],
  ['stop_regex', { rule: { kind: 'regex' } }],
  ...named(
    'min_p',
    'min_tokens',
    'repetition_penalty',
    'stop_token_ids',
    'no_stop_trim',
    'include_stop_str_in_output',
    'ignore_eos',
    'skip_special_tokens',
    'spaces_between_special_tokens',
    'continue_final_message',
    'add_generation_prompt',
    'reasoning',
    'separate_reasoning',
    'stream_reasoning',
    'return_hidden_states',
    'return_cached_tokens_details',
    'return_prompt_token_ids',
    'return_token_ids',
    'return_meta_info',
    'max_dynamic_patch',
    'min_dynamic_patch',
    'use_audio_in_video',
  ),
]);
