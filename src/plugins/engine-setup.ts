/**
 * What a person who sets an engine up chooses first, and what the engine calls it. An engine that has no entry can be set up as well,
 * with the answers that every engine understands.
 */
export interface EngineSetup {
  /** As people and Ray's files write it. */
  readonly label: string;
  /** The form of model files it loads. */
  readonly format: 'safetensors' | 'gguf' | 'none';
  /** Option for the longest context, in tokens. */
  readonly contextOption?: string;
  /** Option for the number of GPUs that one replica is split over. */
  readonly parallelOption?: string;
  /** Options that switch adapters on, for this many of them in memory at a time. */
  readonly adapters?: (maxAdapters: number) => Readonly<Record<string, unknown>>;
  /** Options for a replica on GPUs. */
  readonly onGpu?: Readonly<Record<string, unknown>>;
}

/** By the lower-case name that `llm_engine` gives. */
export const engineSetups: ReadonlyMap<string, EngineSetup> = new Map<string, EngineSetup>([
  [
    'vllm',
    {
      label: 'vLLM',
      format: 'safetensors',
      contextOption: 'max_model_len',
      parallelOption: 'tensor_parallel_size',
      adapters: (maxAdapters) => ({ enable_lora: true, max_loras: maxAdapters, max_lora_rank: 64 }),
    },
  ],
  [
    'sglang',
    {
      label: 'SGLang',
      format: 'safetensors',
      contextOption: 'context_length',
      parallelOption: 'tp_size',
      adapters: (maxAdapters) => ({
        enable_lora: true,
        max_loras_per_batch: maxAdapters,
        max_lora_rank: 64,
        lora_target_modules: ['all'],
      }),
    },
  ],
  ['llamacpp', { label: 'llamacpp', format: 'gguf', contextOption: 'ctx_size', onGpu: { n_gpu_layers: 99 } }],
  ['fake', { label: 'fake', format: 'none' }],
]);
