import type { Outdated } from '../kwargs.ts';

/** Short and older spellings, by the name used here. */
export const otherNames: ReadonlyMap<string, string> = new Map([
  ...['tp', 'tensor_parallel_size'].map((name) => [name, 'tp_size'] as const),
  ...['pp', 'pipeline_parallel_size'].map((name) => [name, 'pp_size'] as const),
  ...['dp', 'data_parallel_size'].map((name) => [name, 'dp_size'] as const),
  ...['ep', 'expert_parallel_size'].map((name) => [name, 'ep_size'] as const),
  ['tokenizer', 'tokenizer_path'],
]);

const address = 'the gateway gives each replica its own loopback address';
const ports = 'each replica gets ports of its own; one that is fixed can serve one replica only';
const model = 'the model is what model_loading_config.model_source names';
const key = 'the gateway gives each replica its own key';
const gpus = 'the gateway assigns the GPUs (gateway.gpus, CUDA_VISIBLE_DEVICES)';
const oneMachine = 'a replica runs on one machine, and the gateway places it';
const http = 'the gateway needs the HTTP server';

const ownedByGateway: ReadonlyMap<string, string> = new Map([
  ...['host', 'port'].map((name) => [name, address] as const),
  ...['nccl_port', 'dist_init_addr', 'nccl_init_addr'].map((name) => [name, ports] as const),
  ...['model', 'model_path'].map((name) => [name, model] as const),
  ['model_type', 'only language models are served'],
  ['served_model_name', 'the served name is model_loading_config.model_id'],
  ...['api_key', 'admin_api_key'].map((name) => [name, key] as const),
  ['fastapi_root_path', 'it would move the routes that the gateway calls'],
  ['config', 'the file would hide options from the gateway; write them here'],
  ...['base_gpu_id', 'gpu_id_step'].map((name) => [name, gpus] as const),
  ...['nnodes', 'node_rank', 'use_ray'].map((name) => [name, oneMachine] as const),
  ['lora_paths', 'adapters come from lora_config, and are loaded while the engine runs'],
  ['enable_metrics', 'it is always on: the gateway reads the page'],
  ...['grpc_mode', 'smg_grpc_mode'].map((name) => [name, http] as const),
  ...['h', 'help', 'version'].map((name) => [name, 'SGLang would print something and exit'] as const),
]);

/** Why the gateway decides this option itself. */
export function owned(name: string): string | undefined {
  if (name.startsWith('ssl_') || name === 'enable_ssl_refresh') return 'the gateway speaks plain HTTP to its replicas, on loopback';
  return ownedByGateway.get(name);
}

/** What other engines call an option, and what it is called here. */
export const foreign: ReadonlyMap<string, string> = new Map([
  ['gpu_memory_utilization', 'SGLang has mem_fraction_static, for weights and KV cache alone'],
  ['max_num_seqs', 'SGLang calls it max_running_requests'],
  ['max_model_len', 'SGLang calls it context_length'],
  ['ctx_size', 'SGLang calls it context_length'],
  ['parallel', 'SGLang calls it max_running_requests'],
  ['enforce_eager', 'SGLang calls it disable_cuda_graph'],
  ['enable_prefix_caching', 'SGLang always has it, unless disable_radix_cache is true'],
  ['enable_chunked_prefill', 'SGLang has chunked_prefill_size (-1: off)'],
  ['max_loras', 'SGLang calls it max_loras_per_batch'],
  ['max_cpu_loras', 'SGLang calls it max_loaded_loras'],
  ['enable_auto_tool_choice', 'SGLang needs tool_call_parser alone'],
]);

const renamed = (to: string): Outdated => ({ note: `SGLang calls it ${to} now`, replace: (value) => ({ [to]: value }) });

/** Options that SGLang 0.5.23 no longer has (the new names are known since 0.5.17 at the latest), so that old files keep running. */
export const outdated: ReadonlyMap<string, Outdated> = new Map<string, Outdated>([
  ['cuda_graph_max_bs', renamed('cuda_graph_max_bs_decode')],
  ['cuda_graph_bs', renamed('cuda_graph_bs_decode')],
  ['enable_ep_moe', { note: 'left out: ep_size alone does it', replace: () => ({}) }],
  [
    'enable_deepep_moe',
    { note: 'SGLang has moe_a2a_backend: deepep for it now', replace: (value) => (value === true ? { moe_a2a_backend: 'deepep' } : {}) },
  ],
  [
    'enable_flashinfer_mla',
    {
      note: 'SGLang has attention_backend: flashinfer for it now',
      replace: (value) => (value === true ? { attention_backend: 'flashinfer' } : {}),
    },
  ],
]);

/** Flags with a `--no-` form (SGLang 0.5.17, `--help`); `false` for any other is left out. */
export const negatable: ReadonlySet<string> = new Set([
  'dcp_replicate_q_proj',
  'experts_shared_outer_loras',
  'lora_strict_loading',
  'dllm_fdfo',
]);
