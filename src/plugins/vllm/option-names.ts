import type { Outdated } from '../kwargs.ts';

/** Short and older spellings, by the name used here. */
export const otherNames: ReadonlyMap<string, string> = new Map([
  ['tp', 'tensor_parallel_size'],
  ['pp', 'pipeline_parallel_size'],
  ['dp', 'data_parallel_size'],
  ['pcp', 'prefill_context_parallel_size'],
  ['dcp', 'decode_context_parallel_size'],
  ['ep', 'enable_expert_parallel'],
  ['q', 'quantization'],
  ['asc', 'api_server_count'],
]);

const address = 'the gateway gives each replica its own loopback address';
const model = 'the model is what model_loading_config.model_source names';
const key = 'the gateway gives each replica its own key';
const oneMachine = 'a replica runs on one machine, and the gateway places it';
const log = 'the gateway reads the log for start phases and causes of failure';

const ownedByGateway: ReadonlyMap<string, string> = new Map([
  ...['host', 'port', 'uds'].map((name) => [name, address] as const),
  ...['model', 'model_tag'].map((name) => [name, model] as const),
  ['served_model_name', 'the served name is model_loading_config.model_id'],
  ['api_key', key],
  ['root_path', 'it would move the routes that the gateway calls'],
  ['hf_token', 'it would be seen on the command line; give HF_TOKEN in runtime_env.env_vars'],
  ['config', 'the file would hide options from the gateway; write them here'],
  ['shutdown_timeout', 'the gateway drains a replica itself and decides how long it may take to stop'],
  ['device_ids', 'the gateway assigns the GPUs (gateway.gpus, CUDA_VISIBLE_DEVICES)'],
  ['lora_modules', 'adapters come from lora_config, and are loaded while the engine runs'],
  ['log_config_file', log],
  ['headless', 'the gateway needs the HTTP server'],
  ['grpc', 'the gateway needs the HTTP server'],
  ...['nnodes', 'node_rank', 'master_addr', 'master_port'].map((name) => [name, oneMachine] as const),
  ...[
    'size_local',
    'rank',
    'start_rank',
    'address',
    'rpc_port',
    'external_lb',
    'hybrid_lb',
    'multi_port_external_lb',
    'supervisor_port',
  ].map((name) => [`data_parallel_${name}`, oneMachine] as const),
  ...['h', 'help', 'v', 'version'].map((name) => [name, 'vLLM would print something and exit'] as const),
]);

/** Why the gateway decides this option itself. */
export function owned(name: string): string | undefined {
  if (name.startsWith('ssl_') || name === 'enable_ssl_refresh') return 'the gateway speaks plain HTTP to its replicas, on loopback';
  return ownedByGateway.get(name);
}

/** What other engines call an option, and what it is called here. */
export const foreign: ReadonlyMap<string, string> = new Map([
  ['mem_fraction_static', 'vLLM has gpu_memory_utilization'],
  ['max_running_requests', 'vLLM calls it max_num_seqs'],
  ['context_length', 'vLLM calls it max_model_len'],
  ['ctx_size', 'vLLM calls it max_model_len'],
  ['parallel', 'vLLM calls it max_num_seqs'],
  ['n_gpu_layers', 'vLLM always runs the whole model on its GPUs'],
  ['tp_size', 'vLLM calls it tensor_parallel_size'],
  ['max_loras_per_batch', 'vLLM calls it max_loras'],
]);

const leftOut = (why: string): Outdated => ({ note: `left out: ${why}`, replace: () => ({}) });
const renamed = (to: string): Outdated => ({ note: `vLLM calls it ${to} now`, replace: (value) => ({ [to]: value }) });
const inside = (mapping: string, key: string): Outdated => ({
  note: `vLLM has it as ${mapping}.${key} now`,
  replace: (value) => ({ [mapping]: { [key]: value } }),
});

const firstEngine = leftOut('vLLM has no such option since its first engine (V0) is gone');

const tasks: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  auto: {},
  generate: { runner: 'generate' },
  transcription: { runner: 'generate' },
  embed: { runner: 'pooling', convert: 'embed' },
  embedding: { runner: 'pooling', convert: 'embed' },
  classify: { runner: 'pooling', convert: 'classify' },
};

/** Options of older versions (vLLM 0.4 to 0.17), so that old files keep running, and one that Ray's files may have. */
export const outdated: ReadonlyMap<string, Outdated> = new Map<string, Outdated>([
  ['disable_log_stats', leftOut('the gateway reads the metrics page, which would be empty')],
  ['swap_space', leftOut('vLLM has no such option since 0.18')],
  ...[
    'num_scheduler_steps',
    'multi_step_stream_outputs',
    'use_v2_block_manager',
    'num_lookahead_slots',
    'preemption_mode',
    'device',
    'tokenizer_pool_size',
    'tokenizer_pool_type',
    'tokenizer_pool_extra_config',
    'max_seq_len_to_capture',
    'max_context_len_to_capture',
    'disable_async_output_proc',
    'enable_prompt_adapter',
    'max_prompt_adapters',
    'max_prompt_adapter_token',
    'lora_extra_vocab_size',
    'long_lora_scaling_factors',
    'enable_lora_bias',
    'worker_use_ray',
    'engine_use_ray',
  ].map((name) => [name, firstEngine] as const),
  [
    'disable_log_requests',
    {
      note: 'vLLM calls it enable_log_requests now, and does not log requests unless told to',
      replace: (value) => (value === false ? { enable_log_requests: true } : {}),
    },
  ],
  [
    'task',
    {
      note: `vLLM has runner and convert instead of task; known here: ${Object.keys(tasks).join(', ')}`,
      replace: (value) => (typeof value === 'string' ? tasks[value] : undefined),
    },
  ],
  ['guided_decoding_backend', inside('structured_outputs_config', 'backend')],
  ['enable_reasoning', leftOut('reasoning_parser alone does it')],
  ['rope_scaling', inside('hf_overrides', 'rope_scaling')],
  ['rope_theta', inside('hf_overrides', 'rope_theta')],
  ['cuda_graph_sizes', renamed('cudagraph_capture_sizes')],
  [
    'disable_mm_preprocessor_cache',
    {
      note: 'vLLM has mm_processor_cache_gb: 0 for it now',
      replace: (value) => (value === true ? { mm_processor_cache_gb: 0 } : {}),
    },
  ],
  ['override_pooler_config', renamed('pooler_config')],
  ['speculative_model', inside('speculative_config', 'model')],
  ['num_speculative_tokens', inside('speculative_config', 'num_speculative_tokens')],
]);

/** Flags without a `--no-` form (vLLM 0.26.0, `--help=all`). */
export const plainFlags: ReadonlySet<string> = new Set(['aggregate_engine_logging']);
/** Options that take a list as one JSON value. */
export const jsonLists: ReadonlySet<string> = new Set(['allowed_origins', 'allowed_methods', 'allowed_headers']);
export const repeated: ReadonlySet<string> = new Set(['middleware']);
