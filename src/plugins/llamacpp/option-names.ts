/** Short flags that people know, by the long name they stand for. */
export const shortNames: ReadonlyMap<string, string> = new Map([
  ['c', 'ctx_size'],
  ['np', 'parallel'],
  ['ngl', 'n_gpu_layers'],
  ['gpu_layers', 'n_gpu_layers'],
  ['t', 'threads'],
  ['tb', 'threads_batch'],
  ['b', 'batch_size'],
  ['ub', 'ubatch_size'],
  ['fa', 'flash_attn'],
]);

const address = 'the gateway gives each replica its own loopback address';
const model = 'the model is what model_loading_config.model_source names';
const key = 'the gateway gives each replica its own key';
const log = 'the gateway reads the log for start phases and causes of failure';
const exits = 'llama-server would print something and exit';

/** Options that would take from the gateway what it must decide itself, and why. Their `no_` forms count too. */
export const ownedByGateway: ReadonlyMap<string, string> = new Map([
  ...['host', 'port', 'reuse_port'].map((name) => [name, address] as const),
  ...['m', 'model', 'mu', 'model_url', 'dr', 'docker_repo', 'hf', 'hfr', 'hf_repo'].map((name) => [name, model] as const),
  ...['models_dir', 'models_preset', 'models_max', 'models_autoload'].map(
    (name) => [name, 'a replica serves one model; router mode would start engines of its own'] as const,
  ),
  ...['a', 'alias'].map((name) => [name, 'the served name is model_loading_config.model_id'] as const),
  ...['api_key', 'api_key_file'].map((name) => [name, key] as const),
  ...['ssl_key_file', 'ssl_cert_file'].map((name) => [name, 'the gateway speaks plain HTTP to its replicas, on loopback'] as const),
  ['api_prefix', 'it would move the routes that the gateway calls'],
  ['metrics', 'it is always on: the gateway reads the page'],
  ...['ui', 'webui'].map((name) => [name, 'it is always off: nobody but the gateway reaches the engine'] as const),
  ['sse_ping_interval', 'pings would hide a hung generation from the gateway, which sends its own'],
  ...['log_disable', 'log_file', 'log_jsonl'].map((name) => [name, log] as const),
  ...['h', 'help', 'usage', 'version', 'completion_bash', 'cache_list', 'cl', 'list_devices'].map((name) => [name, exits] as const),
]);

/** What other engines call an option, and what it is called here. */
export const foreignNames: ReadonlyMap<string, string> = new Map([
  ['max_num_seqs', 'llama-server calls it parallel'],
  ['max_running_requests', 'llama-server calls it parallel'],
  ['max_model_len', 'llama-server has ctx_size, which all parallel slots share: max_model_len × parallel'],
  ['context_length', 'llama-server has ctx_size, which all parallel slots share: context_length × parallel'],
  ['tensor_parallel_size', 'llama-server has split_mode and tensor_split'],
  ['served_model_name', 'the served name is model_loading_config.model_id'],
]);

/** Options whose values are `on`, `off` or `auto`, so that a boolean is written as a word. */
export const onOffAuto: ReadonlySet<string> = new Set(['flash_attn', 'fit', 'reasoning', 'log_colors']);

/** Booleans with a `--no-` form (llama-server 0.7.0, `--help`); `false` for any other is left out. */
export const negatable: ReadonlySet<string> = new Set([
  'perf',
  'escape',
  'kv_offload',
  'repack',
  'op_offload',
  'kv_unified',
  'cache_idle_slots',
  'context_shift',
  'warmup',
  'cont_batching',
  'mmproj',
  'mmproj_auto',
  'mmproj_offload',
  'cors_credentials',
  'ui_mcp_proxy',
  'agent',
  'cache_prompt',
  'slots',
  'jinja',
  'reasoning_preserve',
  'skip_chat_parsing',
  'prefill_assistant',
  'log_prefix',
  'log_timestamps',
  'spec_draft_backend_sampling',
]);
