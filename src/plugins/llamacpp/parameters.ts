import { named, type Parameters } from '../../core/parameter.ts';
import { constraintParameters } from '../constraint.ts';
import { unknownToAll } from '../unsupported.ts';

/** Which adapter is applied, and which slot's cache is used. */
export const internal = ['lora', 'id_slot'];

/** Accepted by llama-server 0.7.0 and without effect. */
export const unsupported = [
  ...unknownToAll,
  'echo',
  'suffix',
  'stop_token_ids',
  'min_tokens',
  'bad_words',
  'allowed_token_ids',
  'prompt_logprobs',
  'truncate_prompt_tokens',
  'use_beam_search',
  'length_penalty',
  'include_stop_str_in_output',
  'thinking_token_budget',
  'separate_reasoning',
  'stream_reasoning',
];

/** llama-server's own (0.7.0), and those of others that its dialect translates or leaves out. */
export const parameters: Parameters = new Map([
  ...constraintParameters,
  ...named(...internal, ...unsupported),
  ['n_predict', { rule: { kind: 'at-most', limit: 'maxOutputTokens', least: -1 } }],
  ['n_probs', { rule: { kind: 'at-most', limit: 'maxLogprobs', least: 0 } }],
  ['n_cmpl', { rule: { kind: 'at-most', limit: 'maxChoices', least: 0 } }],
  ...named(
    'min_p',
    'min_keep',
    'typical_p',
    'top_n_sigma',
    'xtc_probability',
    'xtc_threshold',
    'dynatemp_range',
    'dynatemp_exponent',
    'repeat_penalty',
    'repeat_last_n',
    'repetition_penalty',
    'dry_multiplier',
    'dry_base',
    'dry_allowed_length',
    'dry_penalty_last_n',
    'dry_sequence_breakers',
    'mirostat',
    'mirostat_tau',
    'mirostat_eta',
    'samplers',
    'ignore_eos',
    'cache_prompt',
    'n_keep',
    'n_discard',
    't_max_predict_ms',
    'return_tokens',
    'return_progress',
    'timings_per_token',
    'post_sampling_probs',
    'response_fields',
    'reasoning_format',
    'thinking_forced_open',
    'parse_tool_calls',
    'add_generation_prompt',
    'continue_final_message',
    'embd_normalize',
  ),
]);
